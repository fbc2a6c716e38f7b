"""The charts of a search's report."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ctrkit.report.charts import Axis, Bars, Parallel, Trials
from ctrkit.search.params.results import UNITS, Column, Results, smaller_is_better

MOST_BARS = 15
MOST_SLICES = 8
MOST_AXES = 9
"""Hyper-parameters in the parallel coordinates."""


def history_chart(results: Results) -> Iterable[Trials]:
    """Draw each complete trial in order, and the best so far."""
    objective = results.objective
    better = min if smaller_is_better(objective) else max
    points = [[float(i + 1), float(v)] for i, v in enumerate(results.complete[objective])]
    line: list[list[float]] = []
    for x, y in points:
        line.append([x, better(y, line[-1][1]) if line else y])
    yield Trials("History", "complete trials", UNITS[objective], points, line)


def pareto_charts(results: Results) -> Iterable[Trials]:
    """Draw the first objective against each other one, with the Pareto set."""
    first, *others = results.objectives
    for other in others:
        front = sorted([m.values[other], m.values[first]] for m in results.record.front)
        rows = results.complete.select(other, first).iter_rows()
        points = [[float(a), float(b)] for a, b in rows]
        line = front if len(others) == 1 else []
        title = f"Pareto set: {UNITS[first]} and {UNITS[other]}"
        yield Trials(title, UNITS[other], UNITS[first], points, line)


def importance_charts(results: Results) -> Iterable[Bars]:
    """Draw the importance of hyper-parameters for each objective."""
    for objective, importances in results.record.importances.items():
        best = sorted(importances.items(), key=lambda kv: -kv[1].score)[:MOST_BARS]
        if best:
            scores = [importance.score for _, importance in best]
            yield Bars(
                title=f"Importance for {UNITS[objective]} (trials that drew the key)",
                x="importance",
                labels=[f"{key} ({importance.trials})" for key, importance in best],
                values=scores,
                spans=[[score, score] for score in scores],
                floors=scores,
            )


def parallel_chart(results: Results) -> Iterable[Parallel]:
    """Draw each complete trial as a line across its most important hyper-parameters."""
    keys = results.most_important()[:MOST_AXES]
    if results.complete.height < 2 or not keys:
        return
    scores = [float(v) for v in results.complete[results.objective]]
    columns = {
        key.removeprefix("model.").removeprefix("train."): results.column(key) for key in keys
    }
    columns[UNITS[results.objective]] = Column(scores, (), log=False)
    sign = 1 if smaller_is_better(results.objective) else -1
    order = sorted(range(len(scores)), key=lambda i: -sign * scores[i])
    share = {trial: place / max(1, len(scores) - 1) for place, trial in enumerate(order)}
    places = [_places(column) for column in columns.values()]
    yield Parallel(
        title="Trials across the most important hyper-parameters (orange: the best 20 %)",
        axes=[_axis(name, column) for name, column in columns.items()],
        lines=[list(line) for line in zip(*places, strict=True)],
        colours=[share[i] for i in range(len(scores))],
    )


def slice_charts(results: Results) -> Iterable[Trials]:
    """Draw the first objective against each of the most important hyper-parameters."""
    scores = results.complete[results.objective].to_list()
    for key in results.most_important()[:MOST_SLICES]:
        column = results.column(key)
        pairs = zip(column.values, scores, strict=True)
        points = [[float(x), float(y)] for x, y in pairs if x is not None]
        if points:
            yield Trials(
                title=key,
                x=key,
                y=UNITS[results.objective],
                points=points,
                ticks=column.names,
                log=column.log,
                slice=True,
            )


def _scaled(column: Column) -> list[float | None]:
    """Return values on the scale on which they are drawn."""
    drawn = [v for v in column.values if v is not None]
    logarithmic = column.log and bool(drawn) and min(drawn) > 0
    return [None if v is None else math.log(v) if logarithmic else float(v) for v in column.values]


def _places(column: Column) -> list[float | None]:
    """Return where on an axis, between 0 and 1, the values are."""
    scaled = _scaled(column)
    drawn = [v for v in scaled if v is not None]
    if column.names:
        low, high = 0.0, float(len(column.names) - 1)
    else:
        low, high = (min(drawn), max(drawn)) if drawn else (0.0, 1.0)
    span = (high - low) or 1.0
    return [None if v is None else (v - low) / span for v in scaled]


def _axis(name: str, column: Column) -> Axis:
    drawn = [float(v) for v in column.values if v is not None]
    if column.names:
        last = max(1, len(column.names) - 1)
        return Axis(name, [[i / last, choice] for i, choice in enumerate(column.names)])
    if not drawn:
        return Axis(name)
    return Axis(name, [[0.0, f"{min(drawn):.4g}"], [1.0, f"{max(drawn):.4g}"]])
