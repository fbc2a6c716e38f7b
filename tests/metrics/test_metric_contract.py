"""Every registered metric keeps the contract, and the contract finds what breaks it."""

from __future__ import annotations

import numpy as np
import pytest

from ctrkit.metrics import Metric, evaluate_logits
from ctrkit.registry import register, registry
from ctrkit.testing.metrics import check_metric


@pytest.mark.parametrize("name", registry.names("metric"))
def test_every_metric_keeps_the_contract(name):
    assert [v for v in check_metric(name) if not v.ok] == []


@pytest.mark.usefixtures("temporary")
def test_a_new_metric_is_one_class():
    @register("metric", "mean_logit")
    class MeanLogit(Metric):
        """Mean logit of the rows."""

        def of_rows(self, label, logit, weight):
            s = np.asarray(logit, np.float64)
            w = np.ones(len(s)) if weight is None else np.asarray(weight, np.float64)
            return float(s @ w / w.sum()) if w.sum() else float("nan")

        def of_sorted(self, rows):
            total = sum(float((c.positive + c.negative) @ c.logit) for c in rows.cells())
            return total / float(rows.weights.sum()) if rows.weights.sum() else float("nan")

    assert [v for v in check_metric("mean_logit") if not v.ok] == []
    assert evaluate_logits([0, 1], [1.0, 2.0])["mean_logit"] == 1.5


@pytest.mark.usefixtures("temporary")
def test_faults_of_metrics_are_found():
    @register("metric", "faulty")
    class Faulty(Metric):
        """Depends on the first row, ignores weights when sorted, fails without rows."""

        def of_rows(self, label, logit, weight):
            return float(logit[0]) if weight is None else 0.0

        def of_sorted(self, rows):
            return 1

    failed = {v.name for v in check_metric("faulty") if not v.ok}
    assert failed >= {"few rows", "weights of one", "any order", "sorted rows"}
