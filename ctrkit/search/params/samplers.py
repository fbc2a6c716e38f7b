"""Samplers and pruners: a function each, registered by name."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ctrkit.registry import register, registry
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
    from optuna import exceptions

    seeds = Seeds(study=seed, trial=(seed * 1_000_003 + number) % 2**32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", exceptions.ExperimentalWarning)
        sampler: BaseSampler = registry.get("sampler", config.sampler)(config, seeds)
    return sampler


def make_pruner(config: ParamsSearchConfig) -> BasePruner:
    """Return a pruner by name; trials without a metric to prune by are never pruned."""
    name = config.pruner if prunes(config) else "none"
    pruner: BasePruner = registry.get("pruner", name)(config)
    return pruner


@dataclass(frozen=True)
class Seeds:
    """Seeds of a sampler.

    Attributes:
        study: One seed for all trials.
        trial: A seed for one trial.
    """

    study: int
    trial: int


@register("sampler", "tpe")
def tpe(config: ParamsSearchConfig, seeds: Seeds) -> BaseSampler:
    """Return the tree-structured Parzen estimator."""
    from optuna.samplers import TPESampler

    return TPESampler(
        n_startup_trials=config.startup_trials,
        multivariate=True,
        group=True,
        constant_liar=True,
        seed=seeds.trial,
    )


@register("sampler", "random")
def random(config: ParamsSearchConfig, seeds: Seeds) -> BaseSampler:
    """Return independent random points."""
    from optuna.samplers import RandomSampler

    return RandomSampler(seed=seeds.trial)


@register("sampler", "gp")
def gp(config: ParamsSearchConfig, seeds: Seeds) -> BaseSampler:
    """Return the Gaussian process."""
    from optuna.samplers import GPSampler

    return GPSampler(n_startup_trials=config.startup_trials, seed=seeds.trial)


@register("sampler", "nsgaii")
def nsgaii(config: ParamsSearchConfig, seeds: Seeds) -> BaseSampler:
    """Return the genetic algorithm."""
    from optuna.samplers import NSGAIISampler

    return NSGAIISampler(population_size=max(2, config.startup_trials), seed=seeds.trial)


@register("sampler", "qmc")
def qmc(config: ParamsSearchConfig, seeds: Seeds) -> BaseSampler:
    """Return the Sobol sequence; the study stores the position, so all trials have one seed."""
    from optuna.samplers import QMCSampler

    return QMCSampler(
        scramble=True,
        seed=seeds.study,
        warn_independent_sampling=False,
        warn_asynchronous_seeding=False,
    )


@register("pruner", "median")
def median(config: ParamsSearchConfig) -> BasePruner:
    """Return the median pruner."""
    from optuna.pruners import MedianPruner

    return MedianPruner(
        n_startup_trials=config.prune_after, n_warmup_steps=config.warmup, n_min_trials=1
    )


@register("pruner", "auto")
def auto(config: ParamsSearchConfig) -> BasePruner:
    """Return the median pruner."""
    return median(config)


@register("pruner", "hyperband")
def hyperband(config: ParamsSearchConfig) -> BasePruner:
    """Return Hyperband."""
    from optuna.pruners import HyperbandPruner

    return HyperbandPruner(min_resource=config.warmup + 1)


@register("pruner", "halving")
def halving(config: ParamsSearchConfig) -> BasePruner:
    """Return successive halving."""
    from optuna.pruners import SuccessiveHalvingPruner

    return SuccessiveHalvingPruner(min_resource=config.warmup + 1)


@register("pruner", "none")
def no_pruning(config: ParamsSearchConfig) -> BasePruner:
    """Return a pruner that prunes no trial."""
    from optuna.pruners import NopPruner

    return NopPruner()


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
