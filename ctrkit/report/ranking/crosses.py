"""Crosses of two features: the table, and the map of pairs."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ctrkit.rank.result import Ranking
from ctrkit.report.charts import Heat
from ctrkit.report.numbers import number
from ctrkit.report.summary import Table

MOST_CROSSES = 100
MAPPED = 24
COLUMNS = (
    "rank",
    "cross",
    "gain over additive",
    "synergy",
    "interaction",
    "adj",
    "z",
    "q",
    "values",
    "flags",
)
NOTE = (
    "gain over additive: log loss saved beyond an additive model of both members; synergy: adj of "
    "the pair minus those of its members; interaction: synergy divided by the adj of the pair. "
    "Crosses without a gain ranked too low by synergy to be evaluated."
)


def cross_table(ranking: Ranking) -> Iterator[Table]:
    """Yield the table of crosses by rank, where crosses were ranked."""
    cells = [
        [
            str(row.rank),
            row.name,
            number(row.gain),
            number(row.synergy),
            number(row.interaction, 2),
            number(row.adj),
            number(row.z, 1),
            number(row.q),
            f"{row.cardinality:,}",
            ", ".join(row.flags),
        ]
        for row in ranking.crosses[:MOST_CROSSES]
    ]
    if cells:
        yield Table("Crosses", COLUMNS, cells, NOTE)


def pair_map(ranking: Ranking) -> Iterator[Heat]:
    """Yield the map of synergies of the features with the largest ones."""
    synergies = {row.members: row.synergy for row in ranking.crosses if row.synergy is not None}
    if not synergies:
        return
    best: dict[str, float] = {}
    for members, synergy in synergies.items():
        for name in members:
            best[name] = max(best.get(name, -math.inf), synergy)
    names = sorted(best, key=lambda n: (-best[n], n))[:MAPPED]
    place = {n: i for i, n in enumerate(names)}
    values: list[list[float | None]] = [[None] * len(names) for _ in names]
    for members, synergy in synergies.items():
        a, b = (place.get(m) for m in members)
        if a is not None and b is not None:
            values[a][b] = values[b][a] = synergy
    yield Heat("Pair map: synergy, nats per row", names, values)
