"""Reading the folder of an earlier ranking."""

from __future__ import annotations

from pathlib import Path

from ctrkit.checksums import check_files
from ctrkit.errors import RunFolderError
from ctrkit.files import read_json, refuse_links


def pairs_from_ranking(folder: Path, *, noise: bool = False) -> list[tuple[str, str]]:
    """Return the crosses of two that ``ctrkit rank --order 2`` ranked, best first.

    Args:
        folder: Folder of the ranking.
        noise: Whether to include crosses flagged as noise, which are then all that were screened.

    Raises:
        RunFolderError: The folder is not a ranking, or the ranking has no such crosses.
    """
    path = Path(folder) / "rank.json"
    where = f"the ranking in {str(folder)!r}"
    if not path.is_file():
        raise RunFolderError(
            f"{str(folder)!r} is not a ranking: it has no rank.json (see ctrkit rank)"
        )
    refuse_links(path.parent)
    check_files(Path(folder), ["rank.json"], "rank again with --force")
    try:
        features = read_json(path)["features"]
        rows = sorted((f for f in features if f["order"] == 2), key=lambda f: int(f["rank"]))
        members = [(str(a), str(b)) for a, b in (f["members"] for f in rows)]
        kept = [noise or "noise" not in f["flags"] for f in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise RunFolderError(f"{where} cannot be read: {reason}") from error
    if not rows:
        raise RunFolderError(f"{where} has no crosses; rank again with --order 2")
    if not any(kept):
        raise RunFolderError(
            f"no cross of {where} is distinguishable from noise: search all pairs instead"
        )
    return [pair for pair, keep in zip(members, kept, strict=True) if keep]
