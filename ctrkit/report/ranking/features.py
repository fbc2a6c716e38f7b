"""Single features: the table, and charts of scores and of cost."""

from __future__ import annotations

from collections.abc import Iterator

from ctrkit.rank.result import Ranking, RankRow
from ctrkit.report.charts import Bars, Scatter
from ctrkit.report.numbers import interval, number, text
from ctrkit.report.summary import Table

MOST_FEATURES = 200
CHARTED = 30
LEAST_GAIN = 1e-6  # of the chart of cost
NOTE = (
    "All information in nats per row. gain: log loss saved by a shrunk rate per value; adj: mutual "
    "information minus its expectation under permuted labels, with its 95 % interval; noise "
    "reaches: 97.5 % quantile of adj if the feature meant nothing; q: false discovery rate; rare: "
    "share of the rows with a rare value (by default: seen fewer than 5 times)."
)


def feature_table(ranking: Ranking) -> Iterator[Table]:
    """Yield the table of features, by rank."""
    score, rows = ranking.facts.score, ranking.singles
    columns = ["rank", "feature", "flags", score, "gain", "adj", "95 %", "noise reaches", "z", "q"]
    columns += ["values", "coverage", "rare", "group", "drift"]
    cells = [_cells(row, ranking) for row in rows[:MOST_FEATURES]]
    if score in ("gain", "adj", "z"):  # these scores have columns of their own
        columns, cells = columns[:3] + columns[4:], [row[:3] + row[4:] for row in cells]
    note = NOTE
    if len(rows) > MOST_FEATURES:
        note += f" The first {MOST_FEATURES} of {len(rows)} features; rank.csv holds all."
    yield Table(f"Features by {score}", columns, cells, note)


def _cells(row: RankRow, ranking: Ranking) -> list[str]:
    details = ranking.details[row.name]
    return [
        str(row.rank),
        row.name,
        ", ".join(row.flags),
        number(row.score),
        number(row.gain),
        number(row.adj),
        interval(details.interval),
        number(details.noise_interval[1]),
        number(row.z, 1),
        number(row.q),
        f"{row.cardinality:,}",
        f"{row.coverage:.1%}",
        f"{row.rare_share:.1%}",
        text(row.redundancy_group),
        number(row.drift),
    ]


def score_chart(ranking: Ranking) -> Iterator[Bars]:
    """Yield the chart of ``adj`` with intervals, over what noise reaches."""
    rows = ranking.singles[:CHARTED]
    details = [ranking.details[row.name] for row in rows]
    yield Bars(
        title="adj with 95 % interval; grey: what noise reaches",
        x="nats per row",
        labels=[row.name for row in rows],
        values=[row.adj for row in rows],
        spans=[d.interval for d in details],
        floors=[d.noise_interval[1] for d in details],
    )


def cost_chart(ranking: Ranking) -> Iterator[Scatter]:
    """Yield the chart of gain over distinct values, where any feature gains."""
    points = [
        [max(row.cardinality, 1), row.gain, row.name]
        for row in ranking.singles
        if row.gain is not None and row.gain >= LEAST_GAIN
    ]
    if points:
        title = "Gain against table size"
        yield Scatter(title, "distinct values (table rows)", "gain, nats per row", points)
