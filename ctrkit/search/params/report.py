"""The report of a search for hyper-parameters."""

from __future__ import annotations

import json
import math
from typing import Any

import polars as pl

from ctrkit.report.charts import Axis, Bars, Chart, Parallel, Trials
from ctrkit.report.numbers import DIFFERENCE_NOTE, difference, mean_and_spread
from ctrkit.report.summary import Summary, Table
from ctrkit.search.outcome import PairedDifference

_SLICES = 8
_SHOWN = 30
_AXES = 9
"""Of the parallel coordinates, beside the objective's: the settings that mattered most."""
_SMALLER = {"logloss": True, "auc": False, "bytes": True, "latency": True}
_UNITS = {"logloss": "log loss", "auc": "AUC", "bytes": "bytes", "latency": "ms"}


def summarise_params_search(record: dict[str, Any], trials: pl.DataFrame) -> Summary:
    """Summarise a search folder.

    Args:
        record: Its ``record.json``.
        trials: Its ``trials.parquet``.
    """
    objectives = list(record["search"]["objectives"])
    counts, best = record["counts"], record["winner"]
    done = trials.filter(pl.col("state") == "COMPLETE")
    what = {
        "params": "Settings",
        "features": "Searches for values",
        "interactions": "Searches over pairs",
    }[record["search"]["over"]]
    charts: list[Chart | None] = [
        _history(trials, objectives[0]),
        *_front(done, record, objectives),
        *_importance_charts(record),
        _parallel(done, record, objectives[0]),
        *_slices(done, record, objectives[0]),
    ]
    return Summary(
        title=f"{what} of {record['model']}: trial {best['trial']} wins",
        facts={
            "trials": f"{sum(counts[k] for k in ('complete', 'pruned', 'fail'))}: "
            f"{counts['complete']} complete, {counts['pruned']} pruned, {counts['fail']} failed; "
            f"{counts['retries']} tried again",
            "searched for": f"{record['seconds']:,.0f} s",
            "sampler": f"{record['search']['sampler']}, pruner {record['search']['pruner']}",
            "validation": ", ".join(
                f"{_UNITS[k]} {_value(k, v)}" for k, v in best["values"].items()
            ),
            "config": record["config_sha256"][:12],
        },
        warnings=list(record["warnings"]),
        tables=[
            t
            for t in (
                _comparison(record),
                _settings(record),
                _members(record, objectives),
                _importance_table(record),
                _best_trials(trials, objectives),
                _failures(trials),
            )
            if t
        ],
        curves=[c for c in charts if c],
        data={k: record[k] for k in ("winner", "front", "counts", "importances", "rows", "paired")},
    )


def _value(objective: str, value: float) -> str:
    return f"{value:,.0f}" if objective == "bytes" else f"{value:.5f}"


def _comparison(record: dict[str, Any]) -> Table:
    rows = []
    for name, members in record["rows"].items():
        tests = record["paired"].get(name)
        mean = {
            k: sum(m[k] for m in members) / len(members) for k in ("parameters", "bytes", "seconds")
        }
        rows.append(
            [
                "before the search" if name == "before" else name,
                str(len(members)),
                mean_and_spread([m["test"]["auc"] for m in members]),
                mean_and_spread([m["test"]["logloss"] for m in members]),
                "" if tests is None else difference([PairedDifference(**t) for t in tests]),
                f"{mean['parameters']:,.0f}",
                f"{mean['bytes'] / 1e6:,.2f}",
                f"{mean['seconds']:,.1f}",
            ]
        )
    columns = [
        "settings",
        "seeds",
        "test AUC",
        "test log loss",
        "difference, 95 %",
        "parameters",
        "MB",
        "seconds",
    ]
    note = f"{DIFFERENCE_NOTE} No trial saw the test rows."
    return Table("The winner, retrained", columns, rows, note)


def _settings(record: dict[str, Any]) -> Table:
    drawn = record["winner"]["params"]
    rows = [
        [key, _text(value), _range(record["dimensions"].get(key))] for key, value in drawn.items()
    ]
    note = "run.toml trains it again. Trial 0 took the settings before the search."
    return Table("What the winner drew", ["key", "value", "of"], rows, note)


def _range(choices: list[Any] | None) -> str:
    if choices is None:
        return ""
    numbers = len(choices) == 2 and all(
        isinstance(v, int | float) and not isinstance(v, bool) for v in choices
    )
    if numbers:
        return f"{choices[0]:g} to {choices[1]:g}"
    return ", ".join(_text(v) for v in choices)


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _members(record: dict[str, Any], objectives: list[str]) -> Table | None:
    if len(objectives) < 2:
        return None
    rows = [
        [str(m["trial"]), *(_value(o, m["values"][o]) for o in objectives)] for m in record["front"]
    ]
    note = (
        "No other trial is better in everything. pareto/ trains each "
        f"again; the best {_UNITS[objectives[0]]} is the winner."
    )
    return Table("Pareto set", ["trial", *(_UNITS[o] for o in objectives)], rows, note)


def _importance_table(record: dict[str, Any]) -> Table:
    rows = [
        [_UNITS[objective], key, f"{score:.3f}", str(count)]
        for objective, found in record["importances"].items()
        for key, (score, count) in sorted(found.items(), key=lambda kv: -kv[1][0])
    ]
    note = (
        "PED-ANOVA: how unlike the settings of the best tenth are to all; shares of 1. A setting "
        "that only some models have is judged by their trials alone: few trials, little to say."
    )
    return Table("What mattered", ["objective", "key", "importance", "trials"], rows, note)


def _ordered(trials: pl.DataFrame, objective: str) -> pl.DataFrame:
    done = trials.filter(pl.col("state") == "COMPLETE")
    return done.sort(objective, descending=not _SMALLER[objective])


def _best_trials(trials: pl.DataFrame, objectives: list[str]) -> Table:
    keys = [c for c in trials.columns if c.startswith("param.")]
    rows = [
        [
            str(r["trial"]),
            *(_value(o, r[o]) for o in objectives),
            "–" if r["seconds"] is None else f"{r['seconds']:,.1f}",
            ", ".join(
                f"{k.removeprefix('param.')}={_text(r[k])}" for k in keys if r[k] is not None
            ),
        ]
        for r in _ordered(trials, objectives[0]).head(_SHOWN).iter_rows(named=True)
    ]
    columns = ["trial", *(_UNITS[o] for o in objectives), "seconds", "drew"]
    return Table("Trials, best first", columns, rows, "All of them: trials.parquet.")


def _failures(trials: pl.DataFrame) -> Table | None:
    failed = trials.filter(pl.col("failure").is_not_null())
    if not failed.height:
        return None
    rows = [[str(t), f] for t, f in failed.select("trial", "failure").iter_rows()]
    return Table("Failed trials", ["trial", "why"], rows)


def _history(trials: pl.DataFrame, objective: str) -> Trials:
    done = trials.filter(pl.col("state") == "COMPLETE").sort("ended")
    points = [[float(i + 1), float(v)] for i, v in enumerate(done[objective])]
    line: list[list[float]] = []
    for x, y in points:
        better = min if _SMALLER[objective] else max
        line.append([x, better(y, line[-1][1]) if line else y])
    return Trials("History", "complete trials", _UNITS[objective], points, line)


def _front(done: pl.DataFrame, record: dict[str, Any], objectives: list[str]) -> list[Trials]:
    """Draw the front of the first objective against each other one."""
    found = []
    for other in objectives[1:]:
        first = objectives[0]
        line = sorted([m["values"][other], m["values"][first]] for m in record["front"])
        points = [[float(a), float(b)] for a, b in done.select(other, first).iter_rows()]
        title = f"Pareto set: {_UNITS[other]}"
        steps = line if len(objectives) == 2 else []
        found.append(Trials(title, _UNITS[other], _UNITS[first], points, steps))
    return found


def _importance_charts(record: dict[str, Any]) -> list[Bars]:
    found = []
    for objective, scores in record["importances"].items():
        best = sorted(scores.items(), key=lambda kv: -kv[1][0])[:15]
        if best:
            values = [score for _, (score, _) in best]
            found.append(
                Bars(
                    title=f"Importance for {_UNITS[objective]}",
                    x="importance",
                    labels=[f"{k} ({n})" for k, (_, n) in best],
                    values=values,
                    spans=[[v, v] for v in values],
                    floors=values,
                )
            )
    return found


def _column(done: pl.DataFrame, key: str, record: dict[str, Any]) -> tuple[list[Any], list[str]]:
    """Return a setting's values as numbers, and the names of the places where it has choices."""
    values = done[f"param.{key}"].to_list() if f"param.{key}" in done.columns else []
    choices = record["dimensions"].get(key, [])
    if done.schema.get(f"param.{key}") != pl.String:
        return values, []
    names = [json.dumps(c) for c in choices]
    places = [None if v is None or v not in names else float(names.index(v)) for v in values]
    return places, [str(c) for c in choices]


def _slices(done: pl.DataFrame, record: dict[str, Any], objective: str) -> list[Trials]:
    scores = record["importances"].get(objective, {})
    keys = sorted(record["dimensions"], key=lambda k: -scores.get(k, [0, 0])[0])
    found: list[Trials] = []
    for key in keys[:_SLICES]:
        values, names = _column(done, key, record)
        pairs = zip(values, done[objective].to_list(), strict=False)
        points = [[float(v), float(y)] for v, y in pairs if v is not None]
        if points:
            found.append(
                Trials(
                    title=key,
                    x=key,
                    y=_UNITS[objective],
                    points=points,
                    ticks=names,
                    log=key in record["logarithmic"],
                    slice=True,
                )
            )
    return found


def _parallel(done: pl.DataFrame, record: dict[str, Any], objective: str) -> Parallel | None:
    mattered = record["importances"].get(objective, {})
    keys = [k for k in record["dimensions"] if f"param.{k}" in done.columns]
    keys = sorted(keys, key=lambda k: -mattered.get(k, [0.0])[0])[:_AXES]
    if done.height < 2 or not keys:
        return None
    axes, columns = [], []
    for key in keys:
        values, names = _column(done, key, record)
        name = key.removeprefix("model.").removeprefix("train.")
        axis, places = _axis(name, values, names, key in record["logarithmic"])
        axes.append(axis)
        columns.append(places)
    scores = [float(v) for v in done[objective]]
    axis, places = _axis(_UNITS[objective], scores, [], log=False)
    axes.append(axis)
    columns.append(places)
    sign = 1 if _SMALLER[objective] else -1
    order = sorted(range(len(scores)), key=lambda i: -sign * scores[i])
    rank = {i: r / max(1, len(scores) - 1) for r, i in enumerate(order)}
    title = "Parallel coordinates of what mattered most (orange: the best fifth)"
    return Parallel(
        title=title,
        axes=axes,
        lines=[list(line) for line in zip(*columns, strict=True)],
        colours=[rank[i] for i in range(len(scores))],
    )


def _axis(
    name: str, values: list[Any], names: list[str], log: bool
) -> tuple[Axis, list[float | None]]:
    """Place values between 0 and 1; return the axis and the places."""
    known = [float(v) for v in values if v is not None]
    if names:
        reach = max(1, len(names) - 1)
        ticks: list[list[Any]] = [[i / reach, n] for i, n in enumerate(names)]
        places = [None if v is None else v / reach for v in values]
        return Axis(name, ticks), places
    if not known:
        return Axis(name), [None] * len(values)
    scale = math.log if log and min(known) > 0 else float
    low, high = scale(min(known)), scale(max(known))
    span = (high - low) or 1.0
    ticks = [[0.0, f"{min(known):.4g}"], [1.0, f"{max(known):.4g}"]]
    return Axis(name, ticks), [
        None if v is None else (scale(float(v)) - low) / span for v in values
    ]
