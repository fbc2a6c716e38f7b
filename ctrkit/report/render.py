"""The page second: a summary as one offline HTML file, as Markdown, or as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ctrkit.errors import CtrkitError
from ctrkit.files import write_atomic
from ctrkit.report.charts import chart


def to_html(summary: dict[str, Any]) -> str:
    """Render a summary as one self-contained page; names out of the data are escaped."""
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("ctrkit.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    charts = [(c["title"], Markup(chart(c))) for c in summary["curves"]]
    return environment.get_template("report.html.j2").render(summary=summary, charts=charts)


def to_markdown(summary: dict[str, Any]) -> str:
    """Render a summary as Markdown: title, facts, warnings, tables."""
    lines = [f"# {_plain(summary['title'])}", ""]
    lines += [f"- {key}: {_plain(value)}" for key, value in summary["facts"].items()]
    lines += [f"- warning: {_plain(warning)}" for warning in summary["warnings"]]
    for table in summary["tables"]:
        lines += ["", f"## {_plain(table['title'])}", ""]
        lines.append("| " + " | ".join(map(_plain, table["columns"])) + " |")
        lines.append("|" + "---|" * len(table["columns"]))
        lines += ["| " + " | ".join(map(_plain, row)) + " |" for row in table["rows"]]
        if table["note"]:
            lines += ["", _plain(table["note"])]
    return "\n".join(lines) + "\n"


def write_report(summary: dict[str, Any], path: Path) -> None:
    """Write ``.html``, ``.md`` or ``.json``, beside and renamed.

    Raises:
        CtrkitError: The ending is another.
    """
    render = {".html": to_html, ".md": to_markdown, ".json": _to_json}.get(path.suffix)
    if render is None:
        raise CtrkitError(f"a report is a .html, .md or .json file; got {str(path)!r}")
    write_atomic(path, render(summary))


def _to_json(summary: dict[str, Any]) -> str:
    return json.dumps(summary, indent=1) + "\n"


def _plain(value: object) -> str:
    """Keep text from breaking a Markdown table or turning into markup."""
    return str(value).replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
