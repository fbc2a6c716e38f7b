"""The keys of exact crosses, and the files that hold them.

The key of a cross of pair ``p = (i, j)`` is ``base[p] + code_i * rows_j + code_j`` in int64: keys
of different pairs never overlap, and each leads back to its pair and codes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ctrkit.errors import ConfigError, RunFolderError, nearest
from ctrkit.files import write_json
from ctrkit.layout import CrossKeys, Layout

FORMAT = 1
Ints = npt.NDArray[np.int64]
Pair = tuple[int, int]


def cross_bases(layout: Layout, pairs: Sequence[Pair]) -> Ints:
    """Return the first key of each pair, and after them the end of all keys: ``(P + 1,)``.

    Raises:
        ConfigError: A member is hash-encoded, or the keys do not fit 63 bits.
    """
    ends = [0]
    for i, j in pairs:
        assert 0 <= i < j < len(layout.fields), (i, j)
        first, second = layout.fields[i], layout.fields[j]
        for f in (first, second):
            if f.hashed:
                raise ConfigError(
                    f"field {f.name!r} is hash-encoded, and exact crosses need vocabularies: "
                    "declare encoding = 'vocabulary', or let crosses be hashed"
                )
        ends.append(ends[-1] + first.cross_rows * second.cross_rows)
    if ends[-1] >= 2**63:
        raise ConfigError("the pairs have 2**63 possible crosses or more: cross fewer pairs")
    return np.asarray(ends, np.int64)


def save_crosses(folder: Path, crosses: CrossKeys, layout: Layout) -> None:
    """Write ``crosses.json`` (pairs by field name), ``keys.npy`` and ``counts.npy``.

    Args:
        folder: Created where it is missing.
        crosses: Keys and counts.
        layout: Layout by which the keys were counted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    members = {name for pair in crosses.pairs for name in pair}
    facts = {
        "format": FORMAT,
        "min_count": crosses.min_count,
        "pairs": crosses.pairs,
        "rows": {f.name: f.cross_rows for f in layout.fields if f.name in members},
    }
    np.save(folder / "keys.npy", crosses.keys, allow_pickle=False)
    np.save(folder / "counts.npy", crosses.counts, allow_pickle=False)
    write_json(folder / "crosses.json", facts)


def load_crosses(folder: Path, layout: Layout) -> CrossKeys:
    """Read what :func:`save_crosses` wrote.

    Raises:
        RunFolderError: A file is missing or damaged, or was written for another encoder.
    """
    path = folder / "crosses.json"
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        arrays = [np.load(folder / f"{n}.npy", allow_pickle=False) for n in ("keys", "counts")]
        pairs = tuple((str(a), str(b)) for a, b in facts["pairs"])
        crosses = CrossKeys(pairs, arrays[0], arrays[1], int(facts["min_count"]))
        written, rows = facts["format"], dict(facts["rows"])
    except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
        raise RunFolderError(f"the crosses in {str(folder)!r} cannot be read: {error}") from error
    if written != FORMAT:
        raise RunFolderError(f"{path}: format {written!r}; this ctrkit reads {FORMAT}")
    _check_members(path, crosses, rows, layout)
    _check_keys(path, crosses, layout)
    return crosses


def _check_members(path: Path, crosses: CrossKeys, rows: dict[str, int], layout: Layout) -> None:
    """Refuse crosses of fields that the encoder lacks or has with other codes."""
    expected = {f.name: f.cross_rows for f in layout.fields}
    for name in {n: None for pair in crosses.pairs for n in pair}:
        if name not in expected:
            hint = nearest(name, expected)
            raise RunFolderError(f"{path}: no field {name!r} in the encoder{hint}")
        if rows.get(name) != expected[name]:
            raise RunFolderError(
                f"{path}: field {name!r} had {rows.get(name)} codes and has {expected[name]}: "
                "the crosses were counted for another encoder"
            )


def _check_keys(path: Path, crosses: CrossKeys, layout: Layout) -> None:
    """Refuse keys that do not rise or that belong to other pairs."""
    places = {name: index for index, name in enumerate(layout.names)}
    pairs = [(places[a], places[b]) for a, b in crosses.pairs]
    if any(i >= j for i, j in pairs):
        raise RunFolderError(f"{path}: a pair is not in the order of the encoder's fields")
    keys, end = crosses.keys, int(cross_bases(layout, pairs)[-1])
    sound = keys.dtype == crosses.counts.dtype == np.int64 and keys.shape == crosses.counts.shape
    if not sound or keys.ndim != 1 or (np.diff(keys) <= 0).any():
        raise RunFolderError(f"{path}: keys.npy is damaged: keys must increase")
    if len(keys) and not 0 <= int(keys[0]) <= int(keys[-1]) < end:
        raise RunFolderError(f"{path}: keys.npy holds keys of other pairs")
