"""A triangle of field pairs, coloured by the operation chosen for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ctrkit.report.charts.base import GREY, THREE, Chart, fill_cell, square_axes


@dataclass(frozen=True)
class Operations(Chart):
    """Pairs of fields: the colour is the operation, its depth the probability.

    Attributes:
        labels: Names of the fields.
        names: Operation -> its name in the legend, at most three.
        cells: ``[place, place, operation, probability]`` of each pair.
    """

    kind: ClassVar[str] = "operations"
    labels: Sequence[str]
    names: Mapping[str, str]
    cells: Sequence[Sequence[Any]]

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in inches."""
        side = 2.2 + 0.19 * len(self.labels)
        return max(4.2, side), side

    def draw(self, axes: Any) -> None:
        """Draw the lower triangle; a probability of one third is the palest."""
        from matplotlib.patches import Patch

        colours = dict(zip(self.names, THREE, strict=False))
        for i, j, operation, probability in self.cells:
            certainty = min(1.0, max(0.0, (probability - 1 / 3) * 1.5))
            x, y = min(i, j), max(i, j)
            fill_cell(axes, x, y, colours[operation], 0.15 + 0.85 * certainty)
        square_axes(axes, list(self.labels))
        axes.legend(
            handles=[Patch(color=colours[op], label=name) for op, name in self.names.items()],
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
            ncols=3,
            frameon=False,
            labelcolor=GREY,
        )
