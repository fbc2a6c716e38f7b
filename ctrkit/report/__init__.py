"""What happened, for people: records -> a plain dictionary -> HTML, Markdown or JSON."""

from ctrkit.report.ranking import summarise_ranking
from ctrkit.report.render import to_html, to_markdown, write_report
from ctrkit.report.summarise import summarise_evaluation, summarise_run, summarise_runs

__all__ = [
    "summarise_evaluation",
    "summarise_ranking",
    "summarise_run",
    "summarise_runs",
    "to_html",
    "to_markdown",
    "write_report",
]
