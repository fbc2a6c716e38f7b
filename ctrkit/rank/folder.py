"""Read a ranking's folder again."""

from __future__ import annotations

import json
from pathlib import Path

from ctrkit.errors import RunFolderError


def pairs_from_ranking(folder: Path, *, noise: bool = False) -> list[tuple[str, str]]:
    """Return the crosses of two that ``ctrkit rank --order 2`` found, best first.

    Args:
        folder: That it wrote.
        noise: Take those that it flags as noise too: then all that it screened.

    Raises:
        RunFolderError: It is no ranking, or one without such crosses.
    """
    path = Path(folder) / "rank.json"
    where = f"the ranking in {str(folder)!r}"
    if not path.is_file():
        raise RunFolderError(f"{str(folder)!r} is no ranking: it has no rank.json (ctrkit rank)")
    try:
        features = json.loads(path.read_text(encoding="utf-8"))["features"]
        rows = sorted((f for f in features if f["order"] == 2), key=lambda f: int(f["rank"]))
        members = [(str(a), str(b)) for a, b in (f["members"] for f in rows)]
        kept = [noise or "noise" not in f["flags"] for f in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        fault = f"{type(error).__name__}: {error}"
        raise RunFolderError(f"{where} cannot be read: {fault}") from error
    if not rows:
        raise RunFolderError(f"{where} has no crosses; rank again with --order 2")
    if not any(kept):
        raise RunFolderError(f"{where} tells no cross from noise: search among all pairs instead")
    return [pair for pair, wanted in zip(members, kept, strict=True) if wanted]
