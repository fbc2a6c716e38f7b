"""The contract of metrics: defined on any rows, and equal in memory and in little memory.

A test suite asserts on :func:`check_metric`; ``ctrkit check FILE`` prints its verdicts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ctrkit.metrics import Metric, SortedRows
from ctrkit.registry import registry
from ctrkit.testing.verdicts import Verdict, require, run_checks

ROWS = 2_000
TOLERANCE = 1e-9
Labels = npt.NDArray[np.uint8]
Numbers = npt.NDArray[np.float32]


@dataclass(frozen=True)
class MetricCase:
    """Scored rows, and the metric.

    Attributes:
        metric: The metric.
        label: (n,) labels.
        logit: (n,) logits, with ties.
        weight: (n,) weights, some 0.
    """

    metric: Metric
    label: Labels
    logit: Numbers
    weight: Numbers

    def of_rows(self, rows: npt.NDArray[np.int64], weight: Numbers | None = None) -> float:
        """Return the metric of some rows."""
        return self.metric.of_rows(self.label[rows], self.logit[rows], weight)


def check_metric(name: str) -> list[Verdict]:
    """Run the contract suite on a registered metric.

    Checked: a number, maybe nan, on no rows, one row and one class; weights of one equal no
    weights, and a weight of two equals two rows; the order of the rows does not matter; sorted
    rows give the same value and interval; an interval holds the value.

    Args:
        name: Registered name.
    """
    draw = np.random.default_rng(0)
    logit = np.round(draw.normal(-1, 1, ROWS), 2).astype(np.float32)
    label = (draw.random(ROWS) < 1 / (1 + np.exp(-logit))).astype(np.uint8)
    weight = draw.choice([0.0, 0.5, 1.0, 3.0], ROWS).astype(np.float32)
    case = MetricCase(registry.get("metric", name)(), label, logit, weight)
    return run_checks(
        name,
        case,
        {
            "few rows": _few_rows,
            "one class": _one_class,
            "weights of one": _weights_of_one,
            "weights of two": _weights_of_two,
            "any order": _any_order,
            "sorted rows": _sorted_rows,
            "intervals": _intervals,
        },
    )


def _same(got: float, expected: float) -> bool:
    if math.isnan(expected) or math.isnan(got):
        return math.isnan(expected) and math.isnan(got)
    return math.isclose(got, expected, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _require_number(value: float, rows: str) -> None:
    require(isinstance(value, float), f"{rows}: expected a float, got {type(value).__name__}")
    require(not math.isinf(value), f"{rows}: the value is infinite")


def _few_rows(case: MetricCase) -> None:
    for count in (0, 1, 2):
        _require_number(case.of_rows(np.arange(count)), f"{count} rows")


def _one_class(case: MetricCase) -> None:
    for value in (0, 1):
        _require_number(case.of_rows(np.flatnonzero(case.label == value)), f"all labels {value}")


def _weights_of_one(case: MetricCase) -> None:
    rows = np.arange(ROWS)
    plain, weighted = case.of_rows(rows), case.of_rows(rows, np.ones(ROWS, np.float32))
    require(_same(weighted, plain), f"weights of one give {weighted}, no weights {plain}")


def _weights_of_two(case: MetricCase) -> None:
    rows = np.arange(ROWS)
    twice, weighted = case.of_rows(np.repeat(rows, 2)), case.of_rows(rows, np.full(ROWS, 2, "f4"))
    # Bins of equal counts may cut elsewhere: a looser bound.
    require(math.isclose(twice, weighted, abs_tol=5e-3), f"two rows {twice}, weight two {weighted}")


def _any_order(case: MetricCase) -> None:
    rows = np.arange(ROWS)
    shuffled = case.of_rows(np.random.default_rng(1).permutation(ROWS))
    require(_same(shuffled, case.of_rows(rows)), "shuffled rows give another value")


def _sorted_rows(case: MetricCase) -> None:
    one_class = np.flatnonzero(case.label == 1)
    for rows in (np.arange(ROWS), one_class, np.arange(0), np.arange(1)):
        label, logit = case.label[rows], case.logit[rows]
        for weight in (None, case.weight[rows]):
            sorted_rows = SortedRows(len(rows), [(label, logit, weight)])
            plain = case.metric.of_rows(label, logit, weight)
            got = case.metric.of_sorted(sorted_rows)
            _require_number(got, f"{len(rows)} sorted rows")
            require(_same(got, plain), f"{len(rows)} rows give {plain}, sorted {got}")
            ends = case.metric.interval_of_rows(label, logit, weight)
            sorted_ends = case.metric.interval_of_sorted(sorted_rows)
            if ends is None or sorted_ends is None:
                require(ends is sorted_ends, "an interval in memory alone, or sorted alone")
            else:
                same = all(_same(a, b) for a, b in zip(sorted_ends, ends, strict=True))
                require(same, f"{len(rows)} rows have the interval {ends}, sorted {sorted_ends}")


def _intervals(case: MetricCase) -> None:
    interval = case.metric.interval_of_rows(case.label, case.logit, None)
    if interval is not None:
        value = case.of_rows(np.arange(ROWS))
        require(interval.low <= value <= interval.high, f"{value} is not in {interval}")
        require(_same(interval.value, value), f"the interval is of {interval.value}, not {value}")
