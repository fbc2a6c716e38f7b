"""A chart as small inline SVG: the same bytes for the same data."""

from __future__ import annotations

import dataclasses
import io
import re
import warnings
from abc import ABC, abstractmethod
from typing import Any, ClassVar

GREY = "#888888"
MARK = "#d9822b"
BLUE = "#4c8bc9"
THREE = (MARK, BLUE, GREY)


@dataclasses.dataclass(frozen=True)
class Chart(ABC):
    """A chart of a report: its data, its size and how it is drawn.

    Attributes:
        kind: Name of the kind in the JSON form of a report.
        title: Caption of the chart.
    """

    kind: ClassVar[str]
    title: str

    @property
    @abstractmethod
    def size(self) -> tuple[float, float]:
        """Width and height in inches."""

    @abstractmethod
    def draw(self, axes: Any) -> None:
        """Draw the data on a matplotlib ``Axes``."""

    def to_json(self) -> dict[str, Any]:
        """Return the chart as plain data; fields at their defaults are left out."""
        values = {
            f.name: getattr(self, f.name)
            for f in dataclasses.fields(self)
            if f.default is dataclasses.MISSING or getattr(self, f.name) != f.default
        }
        return {"kind": self.kind, **values}


def to_svg(chart: Chart) -> str:
    """Draw a chart as one ``<svg>`` element without declarations, scripts or network references."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context(
        {
            "svg.hashsalt": chart.title,
            "svg.fonttype": "none",
            "font.family": "sans-serif",
            "font.size": 9,
            "text.parse_math": False,
        }
    ):
        figure = Figure(figsize=chart.size, layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        chart.draw(axes)
        axes.tick_params(colors=GREY)
        for spine in axes.spines.values():
            spine.set_color(GREY)
        buffer = io.StringIO()
        with warnings.catch_warnings():  # a browser has the glyphs that matplotlib's fonts lack
            warnings.filterwarnings("ignore", message="Glyph")
            figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = re.sub(r"<metadata>.*?</metadata>", "", buffer.getvalue(), flags=re.DOTALL)
    return text[text.index("<svg") :]


def name_axes(axes: Any, x: str, y: str = "") -> None:
    """Write the names of both axes."""
    axes.set_xlabel(x, color=GREY)
    if y:
        axes.set_ylabel(y, color=GREY)


def log_axis(axis: Any, set_scale: Any) -> None:
    """Make an axis logarithmic, with a few numbers in plain text."""
    from matplotlib.ticker import LogLocator

    set_scale("log")
    axis.set_major_locator(LogLocator(numticks=6))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_formatter(lambda value, _: "")


def square_axes(axes: Any, labels: list[str]) -> None:
    """Name the rows and columns of a square map of ``len(labels)`` cells a side."""
    names = [shortened(n) for n in labels]
    places = [i + 0.5 for i in range(len(names))]
    axes.set_xticks(places, names, rotation=90)
    axes.set_yticks(places, names)
    axes.set_xlim(0, len(names))
    axes.set_ylim(len(names), 0)


def fill_cell(axes: Any, x: int, y: int, colour: str, alpha: float) -> None:
    """Fill a unit cell of a map as vectors: an image would be a bitmap inside the SVG."""
    axes.fill([x, x + 1, x + 1, x], [y, y, y + 1, y + 1], color=colour, alpha=alpha, linewidth=0)


def shortened(name: str, most: int = 24) -> str:
    """Cut a name to at most ``most`` characters."""
    return name if len(name) <= most else name[: most - 1] + "…"
