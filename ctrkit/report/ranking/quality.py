"""Quality of columns and rows."""

from __future__ import annotations

from collections.abc import Iterator

from ctrkit.rank.flags.base import all_flags
from ctrkit.rank.result import Ranking
from ctrkit.report.numbers import number
from ctrkit.report.summary import Table

MOST_FEATURES = 200
_PARTS = "Parts of the rows: {}."
ELSEWHERE = ("noise", "redundant")  # flags that other tables show


def flag_table(ranking: Ranking) -> Iterator[Table]:
    """Yield the flags of columns with their evidence, where there are any."""
    flags = all_flags()
    cells = [
        [row.name, name, flags[name].message(ranking.details[row.name].flags[name])]
        for row in ranking.singles
        for name in row.flags
        if name not in ELSEWHERE
    ]
    if cells:
        note = _PARTS.format(
            ranking.facts.periods or "splits or thirds by time or file order; there are none here"
        )
        yield Table("Data quality", ["feature", "flag", "evidence"], cells, note)


def row_quality(ranking: Ranking) -> Iterator[Table]:
    """Yield measures of single rows by class of the label."""
    profile = ranking.facts.row_profile
    if not profile.means:
        return
    names = list(profile.means[0].means)
    cells = [[m.measure, *(number(m.means[n]) for n in names)] for m in profile.means]
    note = (
        f"Mean share of a row's fields, over the first {profile.rows:,} rows; last line: entropy "
        "of the characters in nats, summed over the fields."
    )
    yield Table("Quality of rows", ["measure", *(f"label {n}" for n in names)], cells, note)


def repetition_table(ranking: Ranking) -> Iterator[Table]:
    """Yield how many values of each feature occur at least so many times."""
    rows = ranking.singles[:MOST_FEATURES]
    if not rows:
        return
    steps = list(ranking.details[rows[0].name].repetitions)
    cells = [
        [row.name, *(f"{ranking.details[row.name].repetitions[s]:,}" for s in steps)]
        for row in rows
    ]
    columns = ["feature", *(f"seen ≥ {int(s):,}" for s in steps)]
    note = (
        "Number of values seen at least so many times: the rows of an embedding table at that "
        "min_count."
    )
    yield Table("Repetition of values", columns, cells, note)
