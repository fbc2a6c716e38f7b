"""All registered metrics of scored rows, as ``record.json`` holds them."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from ctrkit.metrics.arrays import as_arrays
from ctrkit.metrics.base import Metric
from ctrkit.metrics.group import GroupAuc, group_auc
from ctrkit.metrics.intervals import Interval
from ctrkit.metrics.sorted_rows import SortedRows
from ctrkit.registry import registry


def all_metrics() -> dict[str, Metric]:
    """Return name -> metric, in the order of the registry."""
    return {name: registry.get("metric", name)() for name in registry.names("metric")}


def evaluate_logits(
    label: ArrayLike,
    logit: ArrayLike,
    weight: ArrayLike | None = None,
    group: ArrayLike | None = None,
) -> dict[str, Any]:
    """Return all metrics of rows in memory.

    Args:
        label: (n,) of 0 and 1.
        logit: (n,) logits.
        weight: (n,) weights from 0; None: ones.
        group: (n,) groups; None: no metrics within groups.

    Returns:
        Every metric by its name; ``rows``, ``positives``; the 95 % intervals ``<name>_low`` and
        ``<name>_high``; with ``group``: ``group_auc``, ``groups``, ``groups_skipped``. Undefined
        values are nan.

    Raises:
        DataError: The lengths differ, or a logit is nan.
    """
    y, s, w = as_arrays(label, logit, weight)
    metrics = all_metrics()
    result: dict[str, Any] = {name: metric.of_rows(y, s, w) for name, metric in metrics.items()}
    result |= {"rows": len(y), "positives": int(y.sum())}
    for name, metric in metrics.items():
        result |= _ends(name, metric.interval_of_rows(y, s, w))
    return result if group is None else result | of_groups(group_auc(y, s, group, w))


def evaluate_sorted(rows: SortedRows, *, intervals: bool = True) -> dict[str, Any]:
    """Return all metrics of many rows in little memory; see :func:`evaluate_logits`.

    Args:
        rows: Scored rows.
        intervals: Whether to compute the 95 % intervals, which take a second pass.
    """
    metrics = all_metrics()
    result: dict[str, Any] = {name: metric.of_sorted(rows) for name, metric in metrics.items()}
    result |= {"rows": rows.rows, "positives": rows.ones}
    if intervals:
        for name, metric in metrics.items():
            result |= _ends(name, metric.interval_of_sorted(rows))
    return result


def of_groups(within: GroupAuc) -> dict[str, Any]:
    """Return the metrics within groups, as ``record.json`` holds them."""
    return {
        "group_auc": within.auc,
        "groups": within.groups,
        "groups_skipped": within.skipped,
    }


def _ends(name: str, interval: Interval | None) -> dict[str, float]:
    if interval is None:
        return {}
    return {f"{name}_low": interval.low, f"{name}_high": interval.high}
