"""The Python API: one function per verb of the command line, with the same name and arguments.

Example::

    from ctrkit import jobs, load

    result = jobs.train("clicks.parquet", label="click", out="run")
    load("run").predict(frame)

The module of a verb is imported when the verb is first used: ranking needs no torch.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ctrkit.search.kinds import KINDS

if TYPE_CHECKING:
    from ctrkit.evaluate import explanation_text as explanation_text
    from ctrkit.jobs.check import check as check
    from ctrkit.jobs.demo import demo as demo
    from ctrkit.jobs.encode import encode as encode
    from ctrkit.jobs.evaluate import evaluate as evaluate
    from ctrkit.jobs.explain import explain as explain
    from ctrkit.jobs.predict import predict as predict
    from ctrkit.jobs.rank import rank as rank
    from ctrkit.jobs.report import report as report
    from ctrkit.jobs.schema import schema as schema
    from ctrkit.jobs.search import search_features as search_features
    from ctrkit.jobs.search import search_interactions as search_interactions
    from ctrkit.jobs.search import search_params as search_params
    from ctrkit.jobs.search import search_pipeline as search_pipeline
    from ctrkit.jobs.serve import register as register
    from ctrkit.jobs.serve import serve as serve
    from ctrkit.jobs.serve import ui as ui
    from ctrkit.jobs.sync import sync as sync
    from ctrkit.jobs.train import train as train
    from ctrkit.runs.environment import versions as versions
    from ctrkit.runs.train import RunResult as RunResult
    from ctrkit.search.base import Search as Search


_VERBS = {
    **{
        path.stem: path.stem
        for path in sorted(Path(__file__).parent.glob("[a-z]*.py"))
        if path.stem != "search"
    },
    **{f"search_{kind}": "search" for kind in KINDS},
    "register": "serve",
    "ui": "serve",
}
"""Verb -> its file in this folder: a file is the verb of its name, unless it holds others."""
_TYPES = {
    "RunResult": "ctrkit.runs.train",
    "Search": "ctrkit.search.base",
    "explanation_text": "ctrkit.evaluate",
    "versions": "ctrkit.runs.environment",
}
__all__ = [*_VERBS, *_TYPES]


class _Jobs(ModuleType):
    """A package whose names are the verbs, not the files of the same names.

    Importing ``ctrkit.jobs.train`` binds the file to ``jobs.train``; here the function is bound.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, ModuleType) and name in _VERBS:
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Jobs


def __getattr__(name: str) -> Any:
    if name in _VERBS:
        return getattr(import_module(f"ctrkit.jobs.{_VERBS[name]}"), name)
    if name in _TYPES:
        return getattr(import_module(_TYPES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
