"""Features that change between the first and the last part of the rows."""

from __future__ import annotations

from collections.abc import Iterator

from ctrkit.rank.result import Ranking
from ctrkit.report.numbers import number, series
from ctrkit.report.summary import Table

MOST_FEATURES = 24


def drift_table(ranking: Ranking) -> Iterator[Table]:
    """Yield the features that drift most, where drift was computed."""
    cells = []
    drifts = [(row.drift, row.name) for row in ranking.singles if row.drift is not None]
    for drift, name in sorted(drifts, key=lambda pair: -abs(pair[0]))[:MOST_FEATURES]:
        by_third = ranking.details[name].by_third
        if by_third is not None:
            coverage, gain = series(by_third.coverage, "{:.1%}"), series(by_third.gain, "{:.3g}")
            cells.append([name, number(drift), coverage, gain])
    if cells:
        columns = ["feature", "drift", "coverage by part", "gain by part"]
        note = (
            "drift: Jensen-Shannon divergence in nats between the first and the last part of the "
            f"rows; parts: {ranking.facts.periods}."
        )
        yield Table("Drift", columns, cells, note)
