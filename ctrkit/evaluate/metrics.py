"""From scored rows to metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ctrkit.evaluate.scoring import Scores
from ctrkit.metrics import GroupAuc, SortedRows, evaluate_sorted, group_auc, of_groups

_PART_ROWS = 1 << 20


def evaluate_scores(
    scores: Scores, shift: float = 0.0, *, intervals: bool = True
) -> dict[str, Any]:
    """Compute the metrics of scored rows.

    Args:
        scores: Float32 logits and labels; weights and groups where there are any.
        shift: Number to add to every logit, in float64, so that no ties arise.
        intervals: Whether to compute the 95 % intervals, and the AUC within groups.

    Returns:
        Metrics by name, see :func:`ctrkit.metrics.evaluate_logits`; with groups, ``group_auc``,
        ``groups`` and ``groups_skipped`` too.
    """
    parts = [(scores.label, scores.logit, scores.weight)]
    rows = SortedRows(len(scores.logit), parts, shift)
    metrics = evaluate_sorted(rows, intervals=intervals)
    if intervals and scores.group is not None:
        metrics |= of_groups(_within_groups(scores, scores.group))
    return metrics


def _within_groups(scores: Scores, group: npt.NDArray[np.uint64]) -> GroupAuc:
    """Compute the AUC within groups, some groups of about a million rows at a time."""
    count = -(-len(scores.logit) // _PART_ROWS)
    won = weight = 0.0
    groups = skipped = 0
    for part in range(count):
        at = _rows_of(group, part, count)
        w = None if scores.weight is None else scores.weight[at]
        within = group_auc(scores.label[at], scores.logit[at], group[at], w)
        groups, skipped = groups + within.groups, skipped + within.skipped
        if within.groups:
            won, weight = won + within.auc * within.weight, weight + within.weight
    return GroupAuc(won / weight if weight else float("nan"), groups, skipped, weight)


def _rows_of(group: npt.NDArray[np.uint64], part: int, count: int) -> npt.NDArray[np.int64] | slice:
    """Return the positions ``(n,)`` of the groups of one part; hashes spread them evenly."""
    if count == 1:
        return slice(None)
    starts = range(0, len(group), _PART_ROWS)
    return np.concatenate(
        [np.flatnonzero(group[a : a + _PART_ROWS] % np.uint64(count) == part) + a for a in starts]
    )
