"""The report of a search for feature values."""

from __future__ import annotations

import math

import polars as pl

from ctrkit.report.charts import Line, Scatter
from ctrkit.report.numbers import DIFFERENCE_NOTE, average, difference, mean_and_spread
from ctrkit.report.summary import Summary, Table
from ctrkit.search.features.outcome import OURS, FeaturesRecord

_POINTS = 1500
_SHOWN = 20


def summarise_feature_search(record: FeaturesRecord, features: pl.DataFrame) -> Summary:
    """Summarise a search for feature values.

    Args:
        record: The search's record.
        features: The table ``features.parquet``.
    """
    best = record.rows[OURS][0]
    seen = features.filter(pl.col("count") > 0)
    dropped, data = record.fields_dropped, record.to_json()
    return Summary(
        title=f"Feature values of {record.model}: {best.ratio:.1%} kept",
        facts={
            "values": f"{best.values:,}, kept {best.kept:,}",
            "traffic kept": f"{best.traffic:.1%} of the training occurrences",
            "fields dropped": ", ".join(dropped) or "none",
            "parameters": f"{best.parameters:,}",
            "winner": f"{record.winner}, on validation, of {len(record.candidates)} candidates",
            "config": record.config_sha256[:12],
        },
        warnings=list(record.warnings),
        tables=[
            _comparison(record),
            _candidates(record),
            _by_field(seen),
            _most_frequent_dropped(seen),
        ],
        curves=[c for c in (_pareto(record), _kept_share(seen), _gate_chart(seen)) if c],
        data={k: data[k] for k in ("winner", "candidates", "rows", "paired")},
    )


def _comparison(record: FeaturesRecord) -> Table:
    rows = []
    for name, members in record.rows.items():
        tests = record.paired.get(name)
        rows.append(
            [
                "the search" if name == OURS else name,
                str(len(members)),
                mean_and_spread([m.test.auc for m in members]),
                mean_and_spread([m.test.logloss for m in members]),
                "" if tests is None else difference(tests),
                f"{average(m.ratio for m in members):.1%}",
                f"{average(m.traffic for m in members):.1%}",
                f"{average(m.parameters for m in members):,.0f}",
                f"{average(m.bytes for m in members) / 1e6:,.2f}",
            ]
        )
    columns = [
        "values",
        "seeds",
        "test AUC",
        "test log loss",
        "difference, 95 %",
        "kept",
        "traffic",
        "parameters",
        "MB",
    ]
    return Table("Comparison with the controls", columns, rows, DIFFERENCE_NOTE)


def _candidates(record: FeaturesRecord) -> Table:
    rows = [
        [
            c.name,
            f"{c.ratio:.2%}",
            f"{c.validation.logloss:.5f}",
            f"{c.validation.auc:.5f}",
            f"{c.fields}",
            f"{c.bytes / 1e6:,.2f}",
        ]
        for c in record.candidates
    ]
    columns = ["candidate", "kept", "validation log loss", "validation AUC", "fields", "MB"]
    return Table("Candidates", columns, rows, "The lowest validation log loss wins.")


def _grouped(seen: pl.DataFrame) -> pl.DataFrame:
    kept = pl.col("kept")
    return seen.group_by("field", maintain_order=True).agg(
        values=pl.len(),
        kept=kept.sum(),
        share=kept.mean(),
        traffic=(pl.col("count") * kept).sum() / pl.col("count").sum(),
    )


def _by_field(seen: pl.DataFrame) -> Table:
    rows = [
        [
            r["field"],
            f"{r['values']:,}",
            f"{r['kept']:,}",
            f"{r['share']:.1%}",
            f"{r['traffic']:.1%}",
        ]
        for r in _grouped(seen).sort("share", descending=True).iter_rows(named=True)
    ]
    columns = ["field", "values", "kept", "share", "traffic kept"]
    return Table(
        "By field",
        columns,
        rows,
        "Counted are values in the training rows, missing and rare values among them.",
    )


def _most_frequent_dropped(seen: pl.DataFrame) -> Table:
    dropped = seen.filter(~pl.col("kept")).sort("count", descending=True).head(_SHOWN)
    rows = [
        [
            r["field"],
            "" if r["value"] is None else r["value"],
            f"{r['count']:,}",
            f"{r['traffic']:.2%}",
            f"{r['gate']:+.3f}",
        ]
        for r in dropped.iter_rows(named=True)
    ]
    columns = ["field", "value", "rows", "traffic", "gate"]
    title = "Most frequent dropped values"
    return Table(title, columns, rows, "All values are in features.parquet.")


def _pareto(record: FeaturesRecord) -> Line | None:
    controls = {k: v for k, v in record.rows.items() if k != OURS}
    points = sorted([c.bytes / 1e6, c.test.logloss] for c in record.candidates)
    lines = {"the search": points}
    for name, members in controls.items():
        lines[name] = [[members[0].bytes / 1e6, members[0].test.logloss]]
    if len(points) < 2 and not controls:
        return None
    return Line("Size against log loss", "MB", "test log loss", lines)


def _kept_share(seen: pl.DataFrame) -> Line:
    """Draw the share of kept values by how often they occur."""
    power = seen.with_columns(bin=pl.col("count").log(2).floor())
    shares = power.group_by("bin").agg(share=pl.col("kept").mean()).sort("bin")
    points = [[float(b), float(s)] for b, s in shares.iter_rows()]
    lines = {"values": points}
    return Line("Share of kept values by frequency", "log2 of training rows", "share kept", lines)


def _gate_chart(seen: pl.DataFrame) -> Scatter:
    some = seen if seen.height <= _POINTS else seen.sample(_POINTS, seed=0)
    rows = some.select("count", "gate", "field", "value").iter_rows()
    points = [[math.log2(n), g, f if v is None else f"{f}={v}"] for n, g, f, v in rows]
    title = "Gate against frequency"
    return Scatter(title, "log2 of training rows", "gate", points, linear=True)
