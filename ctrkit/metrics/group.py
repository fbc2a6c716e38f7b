"""AUC within groups, such as users."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ctrkit.metrics.arrays import NAN, as_arrays
from ctrkit.metrics.auc import aucs_by_group


class GroupAuc(NamedTuple):
    """Mean AUC within groups, weighted by the groups' weight of rows.

    Attributes:
        auc: Mean AUC; nan if every group has one class.
        groups: Number of groups with both classes.
        skipped: Number of groups with one class, which have no AUC.
        weight: Total weight of the rows of the groups with both classes.
    """

    auc: float
    groups: int
    skipped: int
    weight: float = 0.0


def group_auc(
    label: ArrayLike, logit: ArrayLike, group: ArrayLike, weight: ArrayLike | None = None
) -> GroupAuc:
    """Return the AUC within each group, averaged by the groups' weight of rows."""
    y, s, w = as_arrays(label, logit, weight)
    if not len(y):
        return GroupAuc(NAN, 0, 0)
    _, codes = np.unique(np.asarray(group), return_inverse=True)
    values, sizes = aucs_by_group(y, s, w, codes.reshape(-1))
    defined = ~np.isnan(values)
    skipped = int((~defined).sum())
    if not defined.any():
        return GroupAuc(NAN, 0, skipped)
    mean = float(np.average(values[defined], weights=sizes[defined]))
    return GroupAuc(mean, len(defined) - skipped, skipped, float(sizes[defined].sum()))
