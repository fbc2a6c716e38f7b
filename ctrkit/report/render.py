"""A summary as one offline HTML file, as Markdown, or as JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path

from ctrkit.errors import CtrkitError
from ctrkit.files import write_atomic
from ctrkit.printable import one_line, printable
from ctrkit.report.charts import to_svg
from ctrkit.report.summary import Summary

_MARKUP = re.compile(r"[\\`*\[\]|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""Characters that CommonMark and its dialects read as markup; "_" only at the edge of a word."""


def to_html(summary: Summary) -> str:
    """Render a summary as one self-contained HTML file; text from the data is escaped."""
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("ctrkit.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    charts = [(chart.title, Markup(printable(to_svg(chart)))) for chart in summary.curves]
    return environment.get_template("report.html.j2").render(summary=summary, charts=charts)


def to_markdown(summary: Summary) -> str:
    """Render a summary as Markdown: title, facts, warnings, tables."""
    lines = [f"# {_escaped(summary.title)}", ""]
    lines += [f"- {_escaped(key)}: {_escaped(value)}" for key, value in summary.facts.items()]
    lines += [f"- warning: {_escaped(warning)}" for warning in summary.warnings]
    for table in summary.tables:
        lines += ["", f"## {_escaped(table.title)}", ""]
        lines.append("| " + " | ".join(map(_escaped, table.columns)) + " |")
        lines.append("|" + "---|" * len(table.columns))
        lines += ["| " + " | ".join(map(_escaped, row)) + " |" for row in table.rows]
        if table.note:
            lines += ["", _escaped(table.note)]
    return "\n".join(lines) + "\n"


def write_report(summary: Summary, path: Path) -> None:
    """Write a summary as ``.html``, ``.md`` or ``.json``, atomically.

    Raises:
        CtrkitError: The path has another extension.
    """
    render = {".html": to_html, ".md": to_markdown, ".json": _to_json}.get(path.suffix)
    if render is None:
        raise CtrkitError(f"a report must be a .html, .md or .json file; got {str(path)!r}")
    write_atomic(path, render(summary))


def _to_json(summary: Summary) -> str:
    return json.dumps(summary.to_json(), indent=1) + "\n"


def _escaped(value: object) -> str:
    """Keep text from breaking a Markdown table or turning into markup, such as a link."""
    text = one_line(str(value)).replace("&", "&amp;").replace("<", "&lt;")
    return _MARKUP.sub(r"\\\g<0>", text)
