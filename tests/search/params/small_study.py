"""A study of a few dimensions, for tests."""

from __future__ import annotations

from pathlib import Path

from ctrkit.search.params.config import ParamsSearchConfig
from ctrkit.search.params.dimension import Dimension
from ctrkit.search.params.study import Trials, suggest

X = Dimension("train.lr", "float", 0.1, 1.0, log=True)
N = Dimension("model.dim", "int", 4, 16)
C = Dimension("model.mlp.hidden", "choice", choices=((8,), (8, 8)))


def open_trials(folder: Path, seed: int = 0, command: int | None = None, **settings) -> Trials:
    return Trials(ParamsSearchConfig(**settings), folder, "study", seed, None, command=command)


def run_one(trials: Trials, value: float | None = None) -> int | None:
    claim = trials.claim()
    if claim is None:
        return None
    with trials.running(claim):
        x = suggest(claim.trial, X)
        suggest(claim.trial, C)
        trials.complete(claim, [x if value is None else value])
    return claim.slot
