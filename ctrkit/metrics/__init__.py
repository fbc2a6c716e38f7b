"""How good predictions are: exact AUC, log loss, calibration, their intervals and paired tests.

Everything takes labels (n,) of 0/1 and **logits** (n,), computes in float64, and accepts optional
row weights (n,). What is undefined for the given rows (no rows, one class only) is ``nan``,
without a warning. Intervals are two-sided and cover 95 % by default.
"""

from ctrkit.metrics.arrays import sigmoid
from ctrkit.metrics.auc import auc, delong_interval
from ctrkit.metrics.base import Metric
from ctrkit.metrics.bins import Reliability
from ctrkit.metrics.calibration import calibration, ece, reliability
from ctrkit.metrics.evaluate import all_metrics, evaluate_logits, evaluate_sorted, of_groups
from ctrkit.metrics.group import GroupAuc, group_auc
from ctrkit.metrics.intervals import Interval, bootstrap_interval
from ctrkit.metrics.losses import logloss, logloss_interval, losses, normalised_entropy
from ctrkit.metrics.paired import PairedTest, paired_auc_test, paired_logloss_test
from ctrkit.metrics.sorted_rows import SortedRows

__all__ = [
    "GroupAuc",
    "Interval",
    "Metric",
    "PairedTest",
    "Reliability",
    "SortedRows",
    "all_metrics",
    "auc",
    "bootstrap_interval",
    "calibration",
    "delong_interval",
    "ece",
    "evaluate_logits",
    "evaluate_sorted",
    "group_auc",
    "logloss",
    "logloss_interval",
    "losses",
    "normalised_entropy",
    "of_groups",
    "paired_auc_test",
    "paired_logloss_test",
    "reliability",
    "sigmoid",
]
