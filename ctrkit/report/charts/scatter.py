"""Named points; the highest ones carry their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ctrkit.report.charts.base import BLUE, GREY, Chart, log_axis, name_axes, shortened

_NAMED = 12


@dataclass(frozen=True)
class Scatter(Chart):
    """Points, on logarithmic axes unless ``linear``.

    Attributes:
        x: Name of the x axis.
        y: Name of the y axis.
        points: ``[x, y, name]`` of each point.
        linear: Whether both axes are linear.
    """

    kind: ClassVar[str] = "scatter"
    x: str
    y: str
    points: Sequence[Sequence[Any]]
    linear: bool = False

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches."""
        return 5.0, 3.6

    def draw(self, axes: Any) -> None:
        """Draw all points, and the names of the highest."""
        xs, ys = [p[0] for p in self.points], [p[1] for p in self.points]
        axes.scatter(xs, ys, s=18, color=BLUE)
        text = {"xytext": (4, 3), "textcoords": "offset points", "color": GREY, "fontsize": 7}
        for x, y, name in sorted(self.points, key=lambda p: -p[1])[:_NAMED]:
            axes.annotate(shortened(name, 18), (x, y), **text)
        if not self.linear:
            log_axis(axes.xaxis, axes.set_xscale)
            log_axis(axes.yaxis, axes.set_yscale)
        name_axes(axes, self.x, self.y)
