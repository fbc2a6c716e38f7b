"""Weights of a model over all values, as weights of the same model over the kept values."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ctrkit.data.encode.field import kept_codes
from ctrkit.layout import Layout
from ctrkit.models.model import Model
from ctrkit.nn.gates.pair import OPS
from ctrkit.nn.interactions.pairs import Pairs
from ctrkit.nn.tables.stacked import StackedTable
from ctrkit.schema import DROPPED, MISSING, UNSEEN

logger = logging.getLogger(__name__)
Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.int64]


class Segment(NamedTuple):
    """The outputs of a branch in the input of the head.

    Attributes:
        before: Width in the old model.
        after: Width in the new model.
        kept: Which of the old outputs are kept; None: unknown.
    """

    before: int
    after: int
    kept: Places | None


def compact(
    state: Mapping[str, Tensor], old: Model, new: Model, kept: Mapping[str, Mask], factor: float
) -> dict[str, Tensor]:
    """Return the state of ``new`` that computes what ``old`` computes with hard gates.

    Rows of kept values move to their new codes and are multiplied by the gates' constant factor.
    Of every other weight, the entries of dropped fields are removed. A weight that cannot be split
    by fields (a plug-in's of another shape) keeps the initial values of ``new``, with a warning.

    Args:
        state: State of ``old``, without its gates.
        old: The model over all values.
        new: The same configuration over the pruned layout.
        kept: Which codes of each gated field are kept; one entry for a real number.
        factor: Factor of a kept value.
    """
    fields = [f.name for f in old.layout.fields]
    places = [fields.index(f.name) for f in new.layout.fields]
    moved = {name: tensor.clone() for name, tensor in new.state_dict().items()}
    numbers = _numbers(new.layout)
    rows = [_numbers(old.layout).index(name) for name in numbers]
    segments = _segments(old, new, places)
    for name, weight in moved.items():
        part = name.split(".")[0]
        if part == "crosses":
            logger.warning(
                "crosses depend on codes, which pruning changes: their rows are random again"
            )
        elif part == "tables":
            _move_rows(state, name, old, new, weight, kept, factor)
        elif part in ("vectors", "missing"):
            scale = [factor if n in kept else 1.0 for n in numbers]
            weight.copy_(state[name][rows] * torch.tensor(scale).unsqueeze(1))  # (Fn, D)
        else:
            source = _narrowed(state[name], weight.shape, len(fields), places, segments)
            if source is None:
                logger.warning("%s cannot be split by fields: it is initialised at random", name)
            else:
                weight.copy_(source)
    return moved


def _numbers(layout: Layout) -> list[str]:
    return [f.name for f in layout.of_kind("numeric")]


def _narrowed(
    weight: Tensor,
    shape: Sequence[int],
    fields: int,
    places: Sequence[int],
    segments: Sequence[Segment],
) -> Tensor | None:
    """Return a weight without the entries of dropped fields; None if it cannot be split."""
    for axis, (before, after) in enumerate(zip(weight.shape, shape, strict=True)):
        if before != after:
            kept = _kept_entries(before, after, fields, places, segments)
            if kept is None:
                return None
            weight = weight.index_select(axis, torch.as_tensor(kept))
    return weight


def _move_rows(
    state: Mapping[str, Tensor],
    name: str,
    old: Model,
    new: Model,
    weight: Tensor,
    kept: Mapping[str, Mask],
    factor: float,
) -> None:
    """Fill a table of the new model with the rows of the kept values."""
    key = name.split(".")[1]
    before, after = old.table(key), new.table(key)
    if not isinstance(before, StackedTable) or not isinstance(after, StackedTable):
        logger.warning("%s has no rows per field: it is initialised at random", name)
        return
    names = [f.name for f in old.layout.coded]
    weight.zero_()
    for place, field in enumerate(new.layout.coded):
        source = names.index(field.name)
        if field.hashed or field.name not in kept:
            size = int(after.moduli[place]) or field.rows
            start, at = int(after.offsets[place]), int(before.offsets[source])
            weight[start : start + size] = state[name][at : at + size]
            continue
        codes = torch.as_tensor(kept_codes(kept[field.name]))  # (rows,)
        rows = int(before.offsets[source]) + codes
        values = state[name][rows] * factor  # (rows, D)
        dropped = [c for c in (MISSING, UNSEEN) if not kept[field.name][c]]
        values[[*dropped, DROPPED]] = 0.0
        start = int(after.offsets[place])
        weight[start : start + len(codes)] = values


def _segments(old: Model, new: Model, places: Sequence[int]) -> list[Segment]:
    """Return the outputs of all branches, in the order in which the head reads them."""
    fields = len(old.layout.fields)
    return [
        _segment(old.branches[name], branch.out_dim, new.described[name].out_dim, fields, places)
        for name, branch in old.described.items()
        if branch.out_dim
    ]


def _segment(
    branch: nn.Module, before: int, after: int, fields: int, places: Sequence[int]
) -> Segment:
    if isinstance(branch, Pairs) and before > 1:
        active = [p for p, op in zip(branch.pairs, branch.ops, strict=True) if op != OPS[2]]
        pairs = np.flatnonzero([i in places and j in places for i, j in active])
        return Segment(before, after, _blocks(pairs, before // len(active)))
    if before == after:
        return Segment(before, after, np.arange(before))
    return Segment(before, after, _kept_entries(before, after, fields, places, []))


def _kept_entries(
    before: int, after: int, fields: int, places: Sequence[int], segments: Sequence[Segment]
) -> Places | None:
    """Return which entries of an axis belong to kept fields; None if that is unknown.

    The axis may run over fields in blocks of one width, over pairs of fields in blocks of one
    width, in the order of ``products``, or over the outputs of the branches one after the other.
    """
    kept = np.asarray(places)
    count = len(kept)
    if before % fields == 0 and after == before // fields * count:
        return _blocks(kept, before // fields)
    pairs, remaining = fields * (fields - 1) // 2, count * (count - 1) // 2
    if pairs and before % pairs == 0 and after == before // pairs * remaining:
        left, right = np.triu_indices(fields, 1)
        both = np.flatnonzero(np.isin(left, kept) & np.isin(right, kept))
        return _blocks(both, before // pairs)
    if (before, after) == (sum(s.before for s in segments), sum(s.after for s in segments)):
        parts, start = [], 0
        for segment in segments:
            if segment.kept is None:
                return None
            parts.append(segment.kept + start)
            start += segment.before
        return np.concatenate(parts)
    return None


def _blocks(places: Places, width: int) -> Places:
    """Return the entries of blocks of one width."""
    return (places[:, None] * width + np.arange(width)).reshape(-1)
