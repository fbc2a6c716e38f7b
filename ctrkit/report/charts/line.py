"""Named lines over one x axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ctrkit.report.charts.base import GREY, Chart, name_axes


@dataclass(frozen=True)
class Line(Chart):
    """Lines with a mark at every point.

    Attributes:
        x: Name of the x axis.
        y: Name of the y axis.
        lines: Name -> points ``[x, y]``.
        diagonal: Whether to draw the line ``y = x``.
    """

    kind: ClassVar[str] = "line"
    x: str
    y: str
    lines: Mapping[str, Sequence[Sequence[float]]]
    diagonal: bool = False

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches."""
        return 4.6, 2.9

    def draw(self, axes: Any) -> None:
        """Draw the lines, with a legend where there are several."""
        if self.diagonal:
            ends = [v for line in self.lines.values() for point in line for v in point]
            low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
            axes.plot([low, high], [low, high], color=GREY, linewidth=0.8, linestyle="--")
        for name, points in self.lines.items():
            xs, ys = [p[0] for p in points], [p[1] for p in points]
            axes.plot(xs, ys, marker="o", markersize=3, linewidth=1.4, label=name)
        name_axes(axes, self.x, self.y)
        if len(self.lines) > 1:
            axes.legend(frameon=False, labelcolor=GREY)
