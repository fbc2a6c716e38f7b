"""Weights of a model over all values, as weights of the same model over the values kept."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ctrkit.data.encode.field import kept_codes
from ctrkit.layout import Layout
from ctrkit.models.model import Model
from ctrkit.nn.gates.pair import OPS
from ctrkit.nn.interactions.pairs import Pairs
from ctrkit.nn.tables.stacked import StackedTable
from ctrkit.schema import DROPPED, MISSING, UNSEEN

logger = logging.getLogger(__name__)
Mask = npt.NDArray[np.bool_]
Segment = tuple[int, int, npt.NDArray[np.int64] | None]


def compact(
    state: Mapping[str, Tensor], old: Model, new: Model, kept: Mapping[str, Mask], factor: float
) -> dict[str, Tensor]:
    """Return the state of ``new`` that computes what ``old`` computes with hard gates.

    Rows of kept values move to their new codes and take the gates' constant factor into them; a
    vanished field's part of each weight goes with it. What cannot be parted by fields (a plug-in's
    weights of another shape) stays as ``new`` has it, and is said.

    Args:
        state: Of ``old``, without its gates.
        old: The model over all values.
        new: The same configuration over the pruned layout.
        kept: Per gated field, which codes stay; one entry for a real number.
        factor: Of a kept value.
    """
    fields = [f.name for f in old.layout.fields]
    places = [fields.index(f.name) for f in new.layout.fields]
    found = {name: tensor.clone() for name, tensor in new.state_dict().items()}
    numbers = _numbers(old.layout), _numbers(new.layout)
    stay = [numbers[0].index(name) for name in numbers[1]]
    segments = [_outputs(b, a, len(fields), places) for b, a in _branches(old, new) if b.out_dim]
    for name, wanted in found.items():
        room = name.split(".")[0]
        if room == "crosses":
            logger.warning("crosses are of codes, which pruning changes: they start anew")
        elif room == "tables":
            _move_rows(state, name, old, new, wanted, kept, factor)
        elif room in ("vectors", "missing"):
            scale = [factor if n in kept else 1.0 for n in numbers[1]]
            wanted.copy_(state[name][stay] * torch.tensor(scale).unsqueeze(1))  # (Fn, D)
        else:
            given: Tensor | None = state[name]
            for axis, (a, b) in enumerate(zip(state[name].shape, wanted.shape, strict=True)):
                if a != b and given is not None:
                    at = _axis(a, b, len(fields), places, segments)
                    given = None if at is None else given.index_select(axis, torch.as_tensor(at))
            if given is None:
                logger.warning("%s cannot be parted by fields: it starts anew", name)
            else:
                wanted.copy_(given)
    return found


def _numbers(layout: Layout) -> list[str]:
    return [f.name for f in layout.of_kind("numeric")]


def _branches(old: Model, new: Model) -> Any:
    return zip(old.branches.values(), new.branches.values(), strict=True)


def _move_rows(
    state: Mapping[str, Tensor],
    name: str,
    old: Model,
    new: Model,
    wanted: Tensor,
    kept: Mapping[str, Mask],
    factor: float,
) -> None:
    key = name.split(".")[1]
    before, after = old.table(key), new.table(key)
    if not isinstance(before, StackedTable) or not isinstance(after, StackedTable):
        logger.warning("%s has no rows per field: it starts anew", name)
        return
    coded = [m.layout.coded for m in (old, new)]
    names = [f.name for f in coded[0]]
    wanted.zero_()
    for place, field in enumerate(coded[1]):
        source = names.index(field.name)
        if field.hashed or field.name not in kept:
            size = int(after.moduli[place]) or field.rows
            start, at = int(after.offsets[place]), int(before.offsets[source])
            wanted[start : start + size] = state[name][at : at + size]
            continue
        codes = torch.as_tensor(kept_codes(kept[field.name]))  # (rows,)
        rows = int(before.offsets[source]) + codes
        values = state[name][rows] * factor  # (rows, D)
        gone = [c for c in (MISSING, UNSEEN) if not kept[field.name][c]]
        values[[*gone, DROPPED]] = 0.0
        start = int(after.offsets[place])
        wanted[start : start + len(codes)] = values


def _outputs(old: Any, new: Any, fields: int, places: list[int]) -> Segment:
    """Return a branch's outputs before and after, and which of them stay."""
    before, after = old.out_dim, new.out_dim
    if isinstance(old, Pairs) and before > 1:
        active = [p for p, op in zip(old.pairs, old.ops, strict=True) if op != OPS[2]]
        width = before // len(active)
        stay = np.flatnonzero([i in places and j in places for i, j in active])
        return before, after, (stay[:, None] * width + np.arange(width)).reshape(-1)
    at = np.arange(before) if before == after else _axis(before, after, fields, places, [])
    return before, after, at


def _axis(
    old: int, new: int, fields: int, places: list[int], segments: list[Segment]
) -> npt.NDArray[np.int64] | None:
    """Return which entries of an axis belong to the fields that stay; None: cannot be told.

    An axis over fields in blocks of one width, over pairs of fields in the order of ``products``,
    or over the outputs of the branches one after the other.
    """
    at = np.asarray(places)
    stay = len(at)
    if old % fields == 0 and new == old // fields * stay:
        width = old // fields
        return (at[:, None] * width + np.arange(width)).reshape(-1)
    if (old, new) == (fields * (fields - 1) // 2, stay * (stay - 1) // 2):
        left, right = np.triu_indices(fields, 1)
        return np.flatnonzero(np.isin(left, at) & np.isin(right, at))
    if (old, new) == (sum(a for a, *_ in segments), sum(b for _, b, _ in segments)):
        parts, start = [], 0
        for a, _, part in segments:
            if part is None:
                return None
            parts.append(part + start)
            start += a
        return np.concatenate(parts)
    return None
