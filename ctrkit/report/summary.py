"""What every report consists of: facts, warnings, tables and charts, before any rendering."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from ctrkit.report.charts.base import Chart

S = TypeVar("S")


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        title: Heading of the table.
        columns: Names of the columns.
        rows: One sequence of cells per row, as long as ``columns``.
        note: Explanation printed below the table.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    note: str = ""


Part = Table | Chart
Section = Callable[[S], Iterable[Part]]
"""A section of a report: a function from what is reported to tables and charts, maybe none."""


@dataclass(frozen=True)
class Summary:
    """A report before it is rendered as HTML, Markdown or JSON.

    Attributes:
        title: Heading of the report.
        facts: Name -> text, printed as a list below the title.
        warnings: One line each.
        tables: Tables in order.
        curves: Charts in order; HTML shows them below the first table.
        data: Plain data behind the tables, for the JSON form.
    """

    title: str
    facts: Mapping[str, str]
    warnings: Sequence[str] = ()
    tables: Sequence[Table] = ()
    curves: Sequence[Chart] = ()
    data: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the summary as plain data."""
        return {
            "title": self.title,
            "facts": dict(self.facts),
            "warnings": list(self.warnings),
            "tables": [asdict(table) for table in self.tables],
            "curves": [chart.to_json() for chart in self.curves],
            "data": dict(self.data),
        }


def tables_and_charts(
    sections: Sequence[Section[S]], subject: S
) -> tuple[list[Table], list[Chart]]:
    """Build the sections of a report, each in its order.

    Args:
        sections: Functions of the subject; see :data:`Section`.
        subject: What the report is about.
    """
    parts = [part for section in sections for part in section(subject)]
    tables = [part for part in parts if isinstance(part, Table)]
    return tables, [part for part in parts if isinstance(part, Chart)]
