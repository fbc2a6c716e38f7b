"""What happened, for people: records -> a plain dictionary -> HTML, Markdown or JSON."""

from ctrkit.report.features import summarise_feature_search
from ctrkit.report.interactions import summarise_interaction_search
from ctrkit.report.params import summarise_params_search
from ctrkit.report.pipeline import summarise_pipeline
from ctrkit.report.ranking import summarise_ranking
from ctrkit.report.render import to_html, to_markdown, write_report
from ctrkit.report.summarise import summarise_evaluation, summarise_run, summarise_runs

__all__ = [
    "summarise_evaluation",
    "summarise_feature_search",
    "summarise_interaction_search",
    "summarise_params_search",
    "summarise_pipeline",
    "summarise_ranking",
    "summarise_run",
    "summarise_runs",
    "to_html",
    "to_markdown",
    "write_report",
]
