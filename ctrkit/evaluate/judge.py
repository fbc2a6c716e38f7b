"""Scored rows to metrics."""

from __future__ import annotations

from typing import Any

import numpy as np

from ctrkit.evaluate.scoring import Scores
from ctrkit.metrics import evaluate_logits, group_auc
from ctrkit.metrics.sorted_rows import SortedRows


def judge(scores: Scores, shift: float = 0.0, *, intervals: bool = True) -> dict[str, Any]:
    """Judge scored rows; see :func:`ctrkit.metrics.evaluate_logits` for what is returned.

    Args:
        scores: Float32 logits and labels; weights and groups where there are any.
        shift: Is added to every logit in float64, where it makes no ties.
        intervals: Whether to compute the 95 % intervals, and the AUC within groups.
    """
    if scores.weight is not None:
        logit = scores.logit.astype(np.float64) + shift
        return evaluate_logits(scores.label, logit, scores.weight, scores.group)
    found = SortedRows(scores.label, scores.logit, shift).metrics(intervals)
    if intervals and scores.group is not None:
        within = group_auc(scores.label, scores.logit, scores.group)
        found |= {"group_auc": within.auc, "groups": within.groups,
                  "groups_skipped": within.skipped}  # fmt: skip
    return found
