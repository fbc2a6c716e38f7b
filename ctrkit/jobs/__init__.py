"""The Python API: one function per verb of the command line, with the same name and arguments.

Example::

    from ctrkit import jobs, load

    result = jobs.train("clicks.parquet", label="click", out="run")
    load("run").predict(frame)

A verb's module is imported when the verb is first asked for: ranking needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ctrkit.evaluate import explanation_text as explanation_text
    from ctrkit.jobs.demonstration import demo as demo
    from ctrkit.jobs.interactions import search_interactions as search_interactions
    from ctrkit.jobs.judging import evaluate as evaluate
    from ctrkit.jobs.judging import explain as explain
    from ctrkit.jobs.judging import predict as predict
    from ctrkit.jobs.looking import encode as encode
    from ctrkit.jobs.looking import schema as schema
    from ctrkit.jobs.pipeline import search_pipeline as search_pipeline
    from ctrkit.jobs.ranking import rank as rank
    from ctrkit.jobs.searching import Search as Search
    from ctrkit.jobs.selecting import search_features as search_features
    from ctrkit.jobs.serving import register as register
    from ctrkit.jobs.serving import serve as serve
    from ctrkit.jobs.serving import ui as ui
    from ctrkit.jobs.showing import check as check
    from ctrkit.jobs.showing import report as report
    from ctrkit.jobs.showing import sync as sync
    from ctrkit.jobs.training import RunResult as RunResult
    from ctrkit.jobs.training import train as train
    from ctrkit.jobs.training import versions as versions
    from ctrkit.jobs.tuning import search_params as search_params

_HOMES = {
    "RunResult": "ctrkit.jobs.training",
    "Search": "ctrkit.jobs.searching",
    "check": "ctrkit.jobs.showing",
    "demo": "ctrkit.jobs.demonstration",
    "encode": "ctrkit.jobs.looking",
    "evaluate": "ctrkit.jobs.judging",
    "explain": "ctrkit.jobs.judging",
    "explanation_text": "ctrkit.evaluate",
    "predict": "ctrkit.jobs.judging",
    "rank": "ctrkit.jobs.ranking",
    "register": "ctrkit.jobs.serving",
    "report": "ctrkit.jobs.showing",
    "schema": "ctrkit.jobs.looking",
    "search_features": "ctrkit.jobs.selecting",
    "search_interactions": "ctrkit.jobs.interactions",
    "search_params": "ctrkit.jobs.tuning",
    "serve": "ctrkit.jobs.serving",
    "search_pipeline": "ctrkit.jobs.pipeline",
    "sync": "ctrkit.jobs.showing",
    "train": "ctrkit.jobs.training",
    "ui": "ctrkit.jobs.serving",
    "versions": "ctrkit.jobs.training",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
