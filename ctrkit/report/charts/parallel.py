"""Parallel coordinates: one line per trial over one axis per hyper-parameter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ctrkit.report.charts.base import BLUE, GREY, MARK, Chart, shortened

_BEST = 0.8  # lines from this colour on are marked


@dataclass(frozen=True)
class Axis:
    """A vertical axis.

    Attributes:
        name: Name below the axis.
        ticks: ``[place, text]`` with places in 0..1.
    """

    name: str
    ticks: Sequence[Sequence[Any]] = ()


@dataclass(frozen=True)
class Parallel(Chart):
    """Lines across vertical axes.

    Attributes:
        axes: Axes from left to right.
        lines: Place (0..1) on each axis, or None where a line does not cross it.
        colours: 0 (worst) to 1 (best) of each line.
    """

    kind: ClassVar[str] = "parallel"
    axes: Sequence[Axis]
    lines: Sequence[Sequence[float | None]]
    colours: Sequence[float]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches."""
        return 2.0 + 0.9 * len(self.axes), 3.6

    def draw(self, axes: Any) -> None:
        """Draw the lines from worst to best, then the axes."""
        order = sorted(zip(self.lines, self.colours, strict=True), key=lambda pair: pair[1])
        for line, share in order:
            crossed = [(i, v) for i, v in enumerate(line) if v is not None]
            colour = MARK if share >= _BEST else BLUE
            xs, ys = [i for i, _ in crossed], [v for _, v in crossed]
            axes.plot(xs, ys, linewidth=1.0, color=colour, alpha=0.2 + 0.7 * share)
        text = {"xytext": (3, 1), "textcoords": "offset points", "color": GREY, "fontsize": 6}
        for i, axis in enumerate(self.axes):
            axes.axvline(i, color=GREY, linewidth=0.8)
            for place, tick in axis.ticks:
                axes.annotate(shortened(tick, 14), (i, place), **text)
        names = [shortened(axis.name, 18) for axis in self.axes]
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right", fontsize=7)
        axes.set_yticks([])
        axes.set_ylim(-0.05, 1.05)
