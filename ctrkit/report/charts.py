"""Charts as small inline SVG, the same bytes for the same data; colours follow the page."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable
from typing import Any

GREY = "#888888"
MARK = "#d9822b"
BLUE = "#4c8bc9"
THREE = (MARK, BLUE, GREY)


def chart(data: dict[str, Any]) -> str:
    """Draw a chart of a summary.

    Args:
        data: ``{kind, title, ...}``; kind ``line`` (the default): ``x, y, lines: {name: [[x, y],
            ...]}, diagonal``; ``bars``: ``x, labels, values, spans, floors``; ``scatter``: ``x, y,
            points: [[x, y, name], ...], linear`` (else both axes are logarithmic); ``heat``:
            ``labels, values`` (square, None: not known); ``operations``: ``labels, names:
            {operation: name}, cells: [[place, place, operation, probability], ...]``; ``groups``:
            ``x, groups: {name: [value, ...]}``, at most three of either;
            ``trials``: ``x, y, points: [[x, y], ...], line: [[x, y], ...], ticks`` (names of the
            places on x), ``log``; ``parallel``: ``axes: [{name, ticks: [[place, name], ...]}],
            lines: [[place or None, ...], ...], colours`` (0 worst to 1 best); places within 0..1.

    Returns:
        One ``<svg>`` element without declarations, scripts or network references.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    draw, size = _KINDS[data.get("kind", "line")]
    with mpl.rc_context(
        {
            "svg.hashsalt": data["title"],
            "svg.fonttype": "none",
            "font.family": "sans-serif",
            "font.size": 9,
            "text.parse_math": False,
        }
    ):
        figure = Figure(figsize=size(data), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        draw(axes, data)
        axes.tick_params(colors=GREY)
        for spine in axes.spines.values():
            spine.set_color(GREY)
        buffer = io.StringIO()
        with warnings.catch_warnings():  # the page's reader has the glyphs that our fonts lack
            warnings.filterwarnings("ignore", message="Glyph")
            figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return text[text.index("<svg") :]


def _line(axes: Any, data: dict[str, Any]) -> None:
    if data.get("diagonal"):
        ends = [v for line in data["lines"].values() for point in line for v in point]
        low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
        axes.plot([low, high], [low, high], color=GREY, linewidth=0.8, linestyle="--")
    for name, points in data["lines"].items():
        axes.plot(
            [p[0] for p in points],
            [p[1] for p in points],
            marker="o",
            markersize=3,
            linewidth=1.4,
            label=name,
        )
    axes.set_xlabel(data["x"], color=GREY)
    axes.set_ylabel(data["y"], color=GREY)
    if len(data["lines"]) > 1:
        axes.legend(frameon=False, labelcolor=GREY)


def _bars(axes: Any, data: dict[str, Any]) -> None:
    places = range(len(data["labels"]))
    axes.barh(places, data["floors"], color=GREY, alpha=0.35, height=0.8)
    low = [v - s[0] for v, s in zip(data["values"], data["spans"], strict=True)]
    high = [s[1] - v for v, s in zip(data["values"], data["spans"], strict=True)]
    axes.errorbar(
        data["values"], places, xerr=[low, high], fmt="o", color=BLUE, markersize=4, elinewidth=1.2
    )
    axes.set_yticks(places, [_short(n) for n in data["labels"]])
    axes.invert_yaxis()
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set_xlabel(data["x"], color=GREY)


def _scatter(axes: Any, data: dict[str, Any]) -> None:
    axes.scatter([p[0] for p in data["points"]], [p[1] for p in data["points"]], s=18, color=BLUE)
    for x, y, name in sorted(data["points"], key=lambda p: -p[1])[:12]:
        axes.annotate(
            _short(name, 18),
            (x, y),
            xytext=(4, 3),
            textcoords="offset points",
            color=GREY,
            fontsize=7,
        )
    if not data.get("linear"):
        _logarithmic(axes.xaxis, axes.set_xscale)
        _logarithmic(axes.yaxis, axes.set_yscale)
    axes.set_xlabel(data["x"], color=GREY)
    axes.set_ylabel(data["y"], color=GREY)


def _logarithmic(axis: Any, scale: Any) -> None:
    """Scale an axis; its numbers are plain text, a few of them."""
    from matplotlib.ticker import LogLocator

    scale("log")
    axis.set_major_locator(LogLocator(numticks=6))
    axis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_minor_formatter(lambda value, _: "")


def _heat(axes: Any, data: dict[str, Any]) -> None:
    known = [abs(v) for row in data["values"] for v in row if v is not None]
    limit = max(known, default=0.0) or 1.0
    for i, row in enumerate(data["values"]):
        for j, value in enumerate(row):
            if value is not None:  # vector cells: an image would be a bitmap
                colour = MARK if value > 0 else BLUE
                axes.fill(
                    [j, j + 1, j + 1, j],
                    [i, i, i + 1, i + 1],
                    color=colour,
                    alpha=min(1.0, abs(value) / limit),
                    linewidth=0,
                )
    names = [_short(n) for n in data["labels"]]
    places = [i + 0.5 for i in range(len(names))]
    axes.set_xticks(places, names, rotation=90)
    axes.set_yticks(places, names)
    axes.set_xlim(0, len(names))
    axes.set_ylim(len(names), 0)
    axes.set_xlabel(f"orange: up to {limit:.2g}; blue: below 0", color=GREY)


def _operations(axes: Any, data: dict[str, Any]) -> None:
    """Draw a triangle of pairs: the colour says what was chosen, its depth how surely."""
    from matplotlib.patches import Patch

    colours = dict(zip(data["names"], THREE, strict=False))
    for i, j, operation, probability in data["cells"]:
        x, y = min(i, j), max(i, j)
        sure = (probability - 1 / 3) * 1.5  # a third of three is no choice
        axes.fill(
            [x, x + 1, x + 1, x],
            [y, y, y + 1, y + 1],
            color=colours[operation],
            alpha=0.15 + 0.85 * min(1.0, max(0.0, sure)),
            linewidth=0,
        )
    names = [_short(n) for n in data["labels"]]
    places = [i + 0.5 for i in range(len(names))]
    axes.set_xticks(places, names, rotation=90)
    axes.set_yticks(places, names)
    axes.set_xlim(0, len(names))
    axes.set_ylim(len(names), 0)
    handles = [Patch(color=colours[op], label=name) for op, name in data["names"].items()]
    axes.legend(
        handles=handles,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=3,
        frameon=False,
        labelcolor=GREY,
    )


def _groups(axes: Any, data: dict[str, Any]) -> None:
    """Draw each group's values as points on a line of their own, with median and quartiles."""
    import numpy as np

    for place, (values, colour) in enumerate(zip(data["groups"].values(), THREE, strict=False)):
        jitter = np.arange(len(values)) * 0.618034 % 1 * 0.5 - 0.25
        axes.scatter(values, place + jitter, s=10, color=colour, alpha=0.6, linewidth=0)
        if values:
            low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
            axes.plot([low, high], [place + 0.36] * 2, color=colour, linewidth=2)
            axes.plot([middle], [place + 0.36], color=colour, marker="D", markersize=5)
    names = [f"{_short(name)} ({len(v)})" for name, v in data["groups"].items()]
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.set_xlabel(data["x"], color=GREY)


def _trials(axes: Any, data: dict[str, Any]) -> None:
    points, line = data["points"], data.get("line", [])
    axes.scatter(
        [p[0] for p in points], [p[1] for p in points], s=14, color=BLUE, alpha=0.8, linewidth=0
    )
    if line:
        axes.step(
            [p[0] for p in line], [p[1] for p in line], where="post", color=MARK, linewidth=1.4
        )
    if data.get("log"):
        _logarithmic(axes.xaxis, axes.set_xscale)
    if data.get("ticks"):
        axes.set_xticks(
            range(len(data["ticks"])), [_short(t, 12) for t in data["ticks"]], rotation=30
        )
    axes.set_xlabel(data["x"], color=GREY)
    axes.set_ylabel(data["y"], color=GREY)


def _parallel(axes: Any, data: dict[str, Any]) -> None:
    places = range(len(data["axes"]))
    order = sorted(zip(data["lines"], data["colours"], strict=True), key=lambda pair: pair[1])
    for line, share in order:
        known = [(i, v) for i, v in zip(places, line, strict=True) if v is not None]
        axes.plot(
            [i for i, _ in known],
            [v for _, v in known],
            linewidth=1.0,
            color=MARK if share >= 0.8 else BLUE,
            alpha=0.2 + 0.7 * share,
        )
    for i, one in enumerate(data["axes"]):
        axes.axvline(i, color=GREY, linewidth=0.8)
        for place, text in one["ticks"]:
            axes.annotate(
                _short(text, 14),
                (i, place),
                xytext=(3, 1),
                textcoords="offset points",
                color=GREY,
                fontsize=6,
            )
    axes.set_xticks(
        places,
        [_short(one["name"], 18) for one in data["axes"]],
        rotation=30,
        ha="right",
        fontsize=7,
    )
    axes.set_yticks([])
    axes.set_ylim(-0.05, 1.05)


def _short(name: str, most: int = 24) -> str:
    return name if len(name) <= most else name[: most - 1] + "…"


_Draw = Callable[[Any, dict[str, Any]], None]
_Size = Callable[[dict[str, Any]], tuple[float, float]]
_KINDS: dict[str, tuple[_Draw, _Size]] = {
    "line": (_line, lambda d: (4.6, 2.9)),
    "bars": (_bars, lambda d: (5.4, 0.9 + 0.19 * len(d["labels"]))),
    "scatter": (_scatter, lambda d: (5.0, 3.6)),
    "operations": (
        _operations,
        lambda d: (max(4.2, 2.2 + 0.19 * len(d["labels"])), 2.2 + 0.19 * len(d["labels"])),
    ),
    "groups": (_groups, lambda d: (5.0, 0.9 + 0.75 * len(d["groups"]))),
    "trials": (_trials, lambda d: (3.6, 2.5) if "slice" in d else (4.6, 2.9)),
    "parallel": (_parallel, lambda d: (2.0 + 0.9 * len(d["axes"]), 3.6)),
    "heat": (_heat, lambda d: (2.2 + 0.19 * len(d["labels"]), 2.0 + 0.19 * len(d["labels"]))),
}
