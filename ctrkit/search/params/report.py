"""The report of a search for hyper-parameters: facts and tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import polars as pl

from ctrkit.report.numbers import DASH, DIFFERENCE_NOTE, average, difference, mean_and_spread
from ctrkit.report.summary import Section, Summary, Table, tables_and_charts
from ctrkit.search.params.charts import (
    history_chart,
    importance_charts,
    parallel_chart,
    pareto_charts,
    slice_charts,
)
from ctrkit.search.params.outcome import BEFORE, ParamsRecord
from ctrkit.search.params.results import UNITS, Results

MOST_TRIALS = 30


def summarise_params_search(record: ParamsRecord, trials: pl.DataFrame) -> Summary:
    """Summarise a search.

    Args:
        record: Its record.
        trials: Its ``trials.parquet``.
    """
    counts, best, over = record.counts, record.winner, record.search.over
    what = "Hyper-parameters" if over == "params" else f"Hyper-parameters of search {over}"
    tables, charts = tables_and_charts(SECTIONS, Results(record, trials))
    data = record.to_json()
    return Summary(
        title=f"{what}, {record.model}: trial {best.trial} wins",
        facts={
            "trials": f"{record.models}: {counts['complete']} complete, {counts['pruned']} pruned, "
            f"{counts['fail']} failed; {counts['retries']} retries",
            "duration": f"{record.seconds:,.0f} s",
            "sampler": f"{record.search.sampler}, pruner {record.search.pruner}",
            "validation": ", ".join(
                f"{UNITS[name]} {_value(name, value)}" for name, value in best.values.items()
            ),
            "config": record.config_sha256[:12],
        },
        warnings=record.warnings,
        tables=tables,
        curves=charts,
        data={k: data[k] for k in ("winner", "front", "counts", "importances", "rows", "paired")},
    )


def _value(objective: str, value: float) -> str:
    return f"{value:,.0f}" if objective == "bytes" else f"{value:.5f}"


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _comparison(results: Results) -> Iterable[Table]:
    record = results.record
    rows = []
    for name, outcomes in record.rows.items():
        tests = record.paired.get(name)
        rows.append(
            [
                "before the search" if name == BEFORE else name,
                str(len(outcomes)),
                mean_and_spread([o.test.auc for o in outcomes]),
                mean_and_spread([o.test.logloss for o in outcomes]),
                "" if tests is None else difference(tests),
                f"{average(o.parameters for o in outcomes):,.0f}",
                f"{average(o.bytes for o in outcomes) / 1e6:,.2f}",
                f"{average(o.seconds for o in outcomes):,.1f}",
            ]
        )
    columns = (
        "configuration",
        "seeds",
        "test AUC",
        "test log loss",
        "difference (95 % CI)",
        "parameters",
        "MB",
        "seconds",
    )
    note = f"{DIFFERENCE_NOTE} The test rows were not used by any trial."
    yield Table("The winner, retrained", columns, rows, note)


def _winner(results: Results) -> Iterable[Table]:
    domains = results.record.dimensions
    rows = [
        [key, _text(value), _domain(domains.get(key, ()))]
        for key, value in results.record.winner.params.items()
    ]
    note = (
        "run.toml trains the winner again. Trial 0 used the configuration before the search, as "
        "closely as the space allows."
    )
    yield Table("Hyper-parameters of the winner", ("key", "value", "searched"), rows, note)


def _domain(values: Sequence[Any]) -> str:
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if len(values) == len(numbers) == 2:
        return f"{values[0]:g} to {values[1]:g}"
    return ", ".join(map(_text, values))


def _pareto_set(results: Results) -> Iterable[Table]:
    objectives = results.objectives
    if len(objectives) < 2:
        return
    rows = [
        [str(m.trial), *(_value(o, m.values[o]) for o in objectives)] for m in results.record.front
    ]
    note = (
        "No other trial is at least as good in every objective and better in one. pareto/ has a "
        f"run.toml for each; the one with the best {UNITS[objectives[0]]} is the winner."
    )
    yield Table("Pareto set", ("trial", *(UNITS[o] for o in objectives)), rows, note)


def _importances(results: Results) -> Iterable[Table]:
    rows = [
        [UNITS[objective], key, f"{importance.score:.3f}", str(importance.trials)]
        for objective, importances in results.record.importances.items()
        for key, importance in sorted(importances.items(), key=lambda kv: -kv[1].score)
    ]
    note = (
        "PED-ANOVA: how much the values in the best 10 % of the trials differ from those in all "
        "trials; the shares add up to 1. A conditional hyper-parameter is judged by the trials "
        "that drew it; with few trials the score is unreliable."
    )
    columns = ("objective", "key", "importance", "trials")
    yield Table("Importance of hyper-parameters", columns, rows, note)


def _best_trials(results: Results) -> Iterable[Table]:
    keys = [c for c in results.trials.columns if c.startswith("param.")]
    rows = [
        [
            str(r["trial"]),
            *(_value(o, r[o]) for o in results.objectives),
            DASH if r["seconds"] is None else f"{r['seconds']:,.1f}",
            ", ".join(
                f"{k.removeprefix('param.')}={_text(r[k])}" for k in keys if r[k] is not None
            ),
        ]
        for r in results.best_first().head(MOST_TRIALS).iter_rows(named=True)
    ]
    columns = ("trial", *(UNITS[o] for o in results.objectives), "seconds", "hyper-parameters")
    yield Table("Trials, best first", columns, rows, "All trials are in trials.parquet.")


def _failures(results: Results) -> Iterable[Table]:
    failed = results.trials.filter(pl.col("failure").is_not_null())
    rows = [[str(t), reason] for t, reason in failed.select("trial", "failure").iter_rows()]
    if rows:
        yield Table("Failed trials", ("trial", "reason"), rows)


SECTIONS: Sequence[Section[Results]] = (
    _comparison,
    _winner,
    _pareto_set,
    _importances,
    _best_trials,
    _failures,
    history_chart,
    pareto_charts,
    importance_charts,
    parallel_chart,
    slice_charts,
)
"""The sections in order."""
