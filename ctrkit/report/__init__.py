"""Reports: what happened as a :class:`Summary`, rendered as HTML, Markdown or JSON."""

from ctrkit.report.comparison import summarise_runs
from ctrkit.report.evaluation import summarise_evaluation
from ctrkit.report.ranking import summarise_ranking
from ctrkit.report.render import to_html, to_markdown, write_report
from ctrkit.report.run import summarise_run
from ctrkit.report.summary import Summary, Table

__all__ = [
    "Summary",
    "Table",
    "summarise_evaluation",
    "summarise_ranking",
    "summarise_run",
    "summarise_runs",
    "to_html",
    "to_markdown",
    "write_report",
]
