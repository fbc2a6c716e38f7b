"""A smaller encoder: only the values that a selection kept have a code of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.encode.encoder import Encoder
from ctrkit.data.encode.freeze import FieldState
from ctrkit.data.hashing import stable_hash
from ctrkit.errors import ConfigError
from ctrkit.schema import DROPPED, MISSING, RESERVED, UNSEEN, Schema

Mask = npt.NDArray[np.bool_]


def prune(encoder: Encoder, kept: Mapping[str, Mask]) -> Encoder:
    """Return an encoder that codes dropped values as 2, and kept ones without gaps.

    A field without a kept value leaves the schema, unless a cross needs it. Exact crosses go by
    codes, which change: they are counted anew.

    Args:
        encoder: With vocabularies or buckets for the fields of ``kept``.
        kept: Per field, which codes stay ``(rows,)``; one entry for a real number. Fields that
            are not named stay as they are.

    Raises:
        ConfigError: No field is left.
    """
    needed = {member for cross in encoder.schema.crosses for member in cross.fields}
    names = [
        f.name
        for f in encoder.schema.fields
        if f.name in needed or f.name not in kept or kept[f.name].any()
    ]
    if not names:
        raise ConfigError("the selection drops every value of every field: lower its penalty")
    states = {n: encoder.states[n] for n in names}
    real = {f.name for f in encoder.numeric}
    states |= {n: _pruned(states[n], kept[n]) for n in names if n in kept and n not in real}
    return Encoder(_narrowed(encoder.schema, names), states)


def kept_codes(kept: Mask) -> npt.NDArray[np.int64]:
    """Return the code before pruning of each code after it ``(rows,)``."""
    return np.concatenate([np.arange(RESERVED), np.flatnonzero(kept[RESERVED:]) + RESERVED])


def _narrowed(schema: Schema, names: list[str]) -> Schema:
    return replace(schema, fields=tuple(f for f in schema.fields if f.name in names))


def _pruned(state: FieldState, kept: Mask) -> FieldState:
    assert len(kept) == len(state.counts), (len(kept), len(state.counts))
    counts = np.asarray(state.counts, np.int64)
    lost = int(counts[~kept].sum())
    after = np.where(kept, counts, 0)[kept_codes(kept)]
    after[DROPPED] = lost
    first = [code if kept[code] else DROPPED for code in (MISSING, UNSEEN)]
    if not state.values:  # buckets
        recode = np.full(len(kept), DROPPED)
        recode[kept_codes(kept)] = np.arange(len(after))
        recode[[MISSING, UNSEEN]] = first
        return replace(state, counts=tuple(after.tolist()), recode=tuple(recode.tolist()))
    values = np.asarray(state.values, object)
    gone = pl.Series("value", values[~kept[RESERVED:]].tolist(), pl.String)
    hashes = np.sort(stable_hash(gone).to_numpy()) if kept[UNSEEN] else np.zeros(0, np.uint64)
    return replace(
        state,
        values=tuple(values[kept[RESERVED:]].tolist()),
        counts=tuple(after.tolist()),
        recode=tuple(first) if first != [MISSING, UNSEEN] else (),
        dropped=tuple(hashes.tolist()),
    )
