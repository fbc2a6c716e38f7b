"""Samplers and pruners by name."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ctrkit.search.params.config import ParamsSearchConfig
from ctrkit.train import Callback, Context, Pruned

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial as FrozenTrial
    from optuna.trial import Trial
ADVISORY = 0x6374726B6974
"""Key of the lock in PostgreSQL."""


def make_sampler(config: ParamsSearchConfig, seed: int, number: int = 0) -> Any:
    """Return a sampler by name, seeded for one trial: a resumed search repeats no draw."""
    from optuna import exceptions, samplers

    own = (seed * 1_000_003 + number) % 2**32
    start = config.startup_trials
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", exceptions.ExperimentalWarning)
        match config.sampler:
            case "tpe":
                return samplers.TPESampler(
                    n_startup_trials=start,
                    multivariate=True,
                    group=True,
                    constant_liar=True,
                    seed=own,
                )
            case "gp":
                return samplers.GPSampler(n_startup_trials=start, seed=own)
            case "nsgaii":
                return samplers.NSGAIISampler(population_size=max(2, start), seed=own)
            case "qmc":  # its place in the sequence is in the study, so the seed must stay
                return samplers.QMCSampler(
                    scramble=True,
                    seed=seed,
                    warn_independent_sampling=False,
                    warn_asynchronous_seeding=False,
                )
    return samplers.RandomSampler(seed=own)


def make_pruner(config: ParamsSearchConfig) -> Any:
    """Return a pruner by name."""
    from optuna import pruners

    name = config.pruner
    if name == "none" or not prunes(config):
        return pruners.NopPruner()
    if name == "hyperband":
        return pruners.HyperbandPruner(min_resource=config.warmup + 1)
    if name == "halving":
        return pruners.SuccessiveHalvingPruner(min_resource=config.warmup + 1)
    return pruners.MedianPruner(
        n_startup_trials=config.prune_after, n_warmup_steps=config.warmup, n_min_trials=1
    )


def prunes(config: ParamsSearchConfig) -> bool:
    """Say whether trials report what they can be stopped by."""
    one = len(config.objectives) == 1 and config.objectives[0] in ("logloss", "auc")
    return one and config.pruner != "none" and config.over == "params"


class Pruning(Callback):
    """Reports each evaluation to Optuna and stops a trial that will not make it.

    A resumed trial is another one for Optuna: it is told what the first one had reported.
    """

    def __init__(self, trial: Trial, metric: str) -> None:
        self.trial, self.metric = trial, metric
        self.values: list[float] = []

    def evaluated(self, context: Context, line: Mapping[str, Any]) -> str | None:
        """Report; raise where the pruner says so."""
        self.values.append(float(line[self.metric]))
        self.trial.report(self.values[-1], len(self.values) - 1)
        if self.trial.should_prune():
            raise Pruned(f"stopped at evaluation {len(self.values)}")
        return None

    def state_dict(self) -> dict[str, Any]:
        """Return what was reported."""
        return {"values": self.values}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Report it again."""
        self.values = list(state["values"])
        for step, value in enumerate(self.values):
            self.trial.report(value, step)
