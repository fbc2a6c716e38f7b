"""Features that repeat each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ctrkit.rank.result import Ranking
from ctrkit.report.numbers import number
from ctrkit.report.summary import Table


def group_table(ranking: Ranking) -> Iterator[Table]:
    """Yield the table of redundancy groups, where there are any."""
    groups: dict[int, list[str]] = defaultdict(list)
    for row in ranking.singles:
        if row.redundancy_group is not None:
            groups[row.redundancy_group].append(row.name)
    pairs = ranking.facts.redundant_pairs or []
    cells = []
    for number_, names in sorted(groups.items()):
        inside = [pair.ami for pair in pairs if set(pair.features) <= set(names)]
        cells.append([str(number_), names[0], ", ".join(names[1:]), f"{min(inside):.3f}"])
    if cells:
        note = "AMI: adjusted mutual information of two features; groups by single linkage."
        yield Table("Redundancy groups", ["group", "best", "others", "lowest AMI"], cells, note)


def three_mr_table(ranking: Ranking) -> Iterator[Table]:
    """Yield the features in 3MR order, where it was asked for."""
    cells = [
        [str(place), chosen.name, number(chosen.value)]
        for place, chosen in enumerate(ranking.facts.three_mr or [], 1)
    ]
    if cells:
        note = (
            "value: relevance, minus the median redundancy with the features above, plus the "
            "median relation to them; each scaled to 0..1."
        )
        yield Table("3MR order", ["place", "feature", "value"], cells, note)
