"""Values with intervals, over bars that show a floor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ctrkit.report.charts.base import BLUE, GREY, Chart, name_axes, shortened


@dataclass(frozen=True)
class Bars(Chart):
    """A row per label: a point with its interval, over a grey bar.

    Attributes:
        x: Name of the x axis.
        labels: Names of the rows, the first on top.
        values: Where each point is drawn.
        spans: Lower and upper end of each interval.
        floors: Length of each grey bar.
    """

    kind: ClassVar[str] = "bars"
    x: str
    labels: Sequence[str]
    values: Sequence[float]
    spans: Sequence[Sequence[float]]
    floors: Sequence[float]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches."""
        return 5.4, 0.9 + 0.19 * len(self.labels)

    def draw(self, axes: Any) -> None:
        """Draw the rows from top to bottom."""
        places = range(len(self.labels))
        axes.barh(places, self.floors, color=GREY, alpha=0.35, height=0.8)
        low = [v - s[0] for v, s in zip(self.values, self.spans, strict=True)]
        high = [s[1] - v for v, s in zip(self.values, self.spans, strict=True)]
        marks = {"fmt": "o", "color": BLUE, "markersize": 4, "elinewidth": 1.2}
        axes.errorbar(self.values, places, xerr=[low, high], **marks)
        axes.set_yticks(places, [shortened(n) for n in self.labels])
        axes.invert_yaxis()
        axes.locator_params(axis="x", nbins=5)  # more numbers of five digits would overlap
        axes.axvline(0, color=GREY, linewidth=0.8)
        name_axes(axes, self.x)
