"""Scored rows to metrics."""

from __future__ import annotations

from typing import Any

import numpy as np

from ctrkit.evaluate.scoring import Scores
from ctrkit.metrics import GroupAuc, group_auc
from ctrkit.metrics.sorted_rows import SortedRows

_PART = 1 << 20


def judge(scores: Scores, shift: float = 0.0, *, intervals: bool = True) -> dict[str, Any]:
    """Judge scored rows; see :func:`ctrkit.metrics.evaluate_logits` for what is returned.

    Args:
        scores: Float32 logits and labels; weights and groups where there are any.
        shift: Is added to every logit in float64, where it makes no ties.
        intervals: Whether to compute the 95 % intervals, and the AUC within groups.
    """
    parts = [(scores.label, scores.logit, scores.weight)]
    found = SortedRows(len(scores.logit), parts, shift).metrics(intervals)
    if intervals and scores.group is not None:
        within = _within_groups(scores)
        found |= {
            "group_auc": within.auc,
            "groups": within.groups,
            "groups_skipped": within.skipped,
        }
    return found


def _within_groups(scores: Scores) -> GroupAuc:
    """Judge the groups by parts of about a million rows; a group lies in one part."""
    assert scores.group is not None
    count = -(-len(scores.logit) // _PART)
    won = weight = 0.0
    groups = skipped = 0
    for part in range(count):
        at = _rows_of(scores.group, part, count)
        w = None if scores.weight is None else scores.weight[at]
        found = group_auc(scores.label[at], scores.logit[at], scores.group[at], w)
        groups, skipped = groups + found.groups, skipped + found.skipped
        if found.groups:
            won, weight = won + found.auc * found.weight, weight + found.weight
    return GroupAuc(won / weight if weight else float("nan"), groups, skipped, weight)


def _rows_of(group: np.ndarray[Any, Any], part: int, count: int) -> Any:
    """Return the places (n,) of the groups of one part; hashes spread them evenly."""
    if count == 1:
        return slice(None)
    starts = range(0, len(group), _PART)
    found = [np.flatnonzero(group[a : a + _PART] % np.uint64(count) == part) + a for a in starts]
    return np.concatenate(found)
