"""A square map of signed values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ctrkit.report.charts.base import BLUE, MARK, Chart, fill_cell, name_axes, square_axes


@dataclass(frozen=True)
class Heat(Chart):
    """Cells coloured by sign and magnitude.

    Attributes:
        labels: Names of the rows and columns.
        values: Square; None: no value.
    """

    kind: ClassVar[str] = "heat"
    labels: Sequence[str]
    values: Sequence[Sequence[float | None]]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches."""
        return 2.2 + 0.19 * len(self.labels), 2.0 + 0.19 * len(self.labels)

    def draw(self, axes: Any) -> None:
        """Draw the cells: orange above 0, blue below."""
        magnitudes = [abs(v) for row in self.values for v in row if v is not None]
        limit = max(magnitudes, default=0.0) or 1.0
        for y, row in enumerate(self.values):
            for x, value in enumerate(row):
                if value is not None:
                    colour = MARK if value > 0 else BLUE
                    fill_cell(axes, x, y, colour, min(1.0, abs(value) / limit))
        square_axes(axes, list(self.labels))
        name_axes(axes, f"orange: up to {limit:.2g}; blue: below 0")
