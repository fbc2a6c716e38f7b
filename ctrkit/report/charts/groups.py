"""How the values of a few groups are spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ctrkit.report.charts.base import GREY, THREE, Chart, name_axes, shortened


@dataclass(frozen=True)
class Groups(Chart):
    """A row of points per group, with median and quartiles.

    Attributes:
        x: Name of the x axis.
        groups: Name -> values, at most three groups.
    """

    kind: ClassVar[str] = "groups"
    x: str
    groups: Mapping[str, Sequence[float]]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches."""
        return 5.0, 0.9 + 0.75 * len(self.groups)

    def draw(self, axes: Any) -> None:
        """Draw the groups from top to bottom."""
        import numpy as np

        for place, (values, colour) in enumerate(zip(self.groups.values(), THREE, strict=False)):
            jitter = np.arange(len(values)) * 0.618034 % 1 * 0.5 - 0.25
            axes.scatter(values, place + jitter, s=10, color=colour, alpha=0.6, linewidth=0)
            if values:
                low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
                axes.plot([low, high], [place + 0.36] * 2, color=colour, linewidth=2)
                axes.plot([middle], [place + 0.36], color=colour, marker="D", markersize=5)
        names = [f"{shortened(name)} ({len(v)})" for name, v in self.groups.items()]
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.axvline(0, color=GREY, linewidth=0.8)
        name_axes(axes, self.x)
