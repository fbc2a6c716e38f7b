"""Samplers and pruners by name."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ctrkit.search.params.config import ParamsSearchConfig
from ctrkit.train import Callback, Context, Pruned

if TYPE_CHECKING:
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.trial import Trial


def make_sampler(config: ParamsSearchConfig, seed: int, number: int = 0) -> BaseSampler:
    """Return a sampler by name, seeded for one trial: a resumed search repeats no draw.

    Args:
        config: ``[search]``.
        seed: Seed of the search.
        number: Number of the trial.
    """
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
            case "qmc":  # the study stores the position in the sequence: one seed for all trials
                return samplers.QMCSampler(
                    scramble=True,
                    seed=seed,
                    warn_independent_sampling=False,
                    warn_asynchronous_seeding=False,
                )
    return samplers.RandomSampler(seed=own)


def make_pruner(config: ParamsSearchConfig) -> BasePruner:
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
    """Return whether trials report a metric by which they can be pruned."""
    reported = config.objectives in (("logloss",), ("auc",))
    return reported and config.pruner != "none" and config.over == "params"


class Pruning(Callback):
    """Reports each evaluation to Optuna and stops an unpromising trial.

    A resumed trial is a new one for Optuna: what the first one reported is reported again.

    Args:
        trial: Optuna's trial.
        metric: Metric on the validation rows that is reported.
    """

    def __init__(self, trial: Trial, metric: str) -> None:
        self.trial, self.metric = trial, metric
        self.values: list[float] = []

    def evaluated(self, context: Context, line: Mapping[str, Any]) -> str | None:
        """Report an evaluation; raise :class:`~ctrkit.train.Pruned` if the pruner stops it."""
        self.values.append(float(line[self.metric]))
        self.trial.report(self.values[-1], len(self.values) - 1)
        if self.trial.should_prune():
            raise Pruned(f"pruned at evaluation {len(self.values)}")
        return None

    def state_dict(self) -> dict[str, Any]:
        """Return the values reported so far."""
        return {"values": self.values}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Report the values of the interrupted trial again."""
        self.values = list(state["values"])
        for step, value in enumerate(self.values):
            self.trial.report(value, step)
