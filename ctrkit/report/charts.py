"""Line charts as small inline SVG, the same bytes for the same data."""

from __future__ import annotations

import io
import re
from typing import Any


def line_chart(curve: dict[str, Any]) -> str:
    """Draw a curve of a summary; colours follow the page's text colour.

    Args:
        curve: ``{title, x, y, lines: {name: [[x, y], ...]}, diagonal}``.

    Returns:
        One ``<svg>`` element without declarations, scripts or network references.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    grey = "#888888"
    with mpl.rc_context({"svg.hashsalt": curve["title"], "svg.fonttype": "none",
                         "font.family": "sans-serif", "font.size": 9}):  # fmt: skip
        figure = Figure(figsize=(4.6, 2.9), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        if curve.get("diagonal"):
            ends = [v for line in curve["lines"].values() for point in line for v in point]
            low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
            axes.plot([low, high], [low, high], color=grey, linewidth=0.8, linestyle="--")
        for name, points in curve["lines"].items():
            axes.plot([p[0] for p in points], [p[1] for p in points], marker="o", markersize=3,
                      linewidth=1.4, label=name)  # fmt: skip
        axes.set_xlabel(curve["x"], color=grey)
        axes.set_ylabel(curve["y"], color=grey)
        axes.tick_params(colors=grey)
        for spine in axes.spines.values():
            spine.set_color(grey)
        if len(curve["lines"]) > 1:
            axes.legend(frameon=False, labelcolor=grey)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return text[text.index("<svg") :]
