"""Trials of a search as points, with the best so far as steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ctrkit.report.charts.base import BLUE, MARK, Chart, log_axis, name_axes, shortened


@dataclass(frozen=True)
class Trials(Chart):
    """Points and a step line.

    Attributes:
        x: Name of the x axis.
        y: Name of the y axis.
        points: ``[x, y]`` of each trial.
        line: ``[x, y]`` of the step line.
        ticks: Names of the places 0, 1, ... on the x axis; empty: numbers.
        log: Whether the x axis is logarithmic.
        slice: Whether the chart is one of many small ones.
    """

    kind: ClassVar[str] = "trials"
    x: str
    y: str
    points: Sequence[Sequence[float]]
    line: Sequence[Sequence[float]] = ()
    ticks: Sequence[str] = ()
    log: bool = False
    slice: bool = False

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches."""
        return (3.6, 2.5) if self.slice else (4.6, 2.9)

    def draw(self, axes: Any) -> None:
        """Draw the points, then the step line."""
        xs, ys = [p[0] for p in self.points], [p[1] for p in self.points]
        axes.scatter(xs, ys, s=14, color=BLUE, alpha=0.8, linewidth=0)
        if self.line:
            xs, ys = [p[0] for p in self.line], [p[1] for p in self.line]
            axes.step(xs, ys, where="post", color=MARK, linewidth=1.4)
        if self.log:
            log_axis(axes.xaxis, axes.set_xscale)
        if self.ticks:
            names = [shortened(t, 12) for t in self.ticks]
            axes.set_xticks(range(len(names)), names, rotation=30)
        name_axes(axes, self.x, self.y)
