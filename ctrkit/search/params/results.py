"""What the report of a search is about: its record and its trials."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from ctrkit.search.params.outcome import ParamsRecord
from ctrkit.search.params.pareto import DIRECTION, Importance
from ctrkit.search.params.trial import COMPLETE

UNITS = {"logloss": "log loss", "auc": "AUC", "bytes": "bytes", "latency": "ms"}
"""Objective -> its name in reports."""


@dataclass(frozen=True)
class Column:
    """The values of one hyper-parameter over the complete trials.

    Attributes:
        values: A number per trial: the value, or the position of the choice; None: not drawn.
        names: Names of the choices; empty for numbers.
        log: Whether numbers are drawn on a logarithmic scale.
    """

    values: Sequence[float | None]
    names: Sequence[str]
    log: bool


@dataclass(frozen=True)
class Results:
    """A finished search, as its report reads it.

    Attributes:
        record: The record.
        trials: ``trials.parquet``: a row per attempt.
    """

    record: ParamsRecord
    trials: pl.DataFrame

    @property
    def objectives(self) -> Sequence[str]:
        """The names of the objectives."""
        return self.record.search.objectives

    @property
    def objective(self) -> str:
        """The name of the first objective."""
        return self.objectives[0]

    @property
    def importances(self) -> dict[str, Importance]:
        """The importance of each hyper-parameter for the first objective."""
        return dict(self.record.importances.get(self.objective, {}))

    @cached_property
    def complete(self) -> pl.DataFrame:
        """The complete trials, in the order in which they ended."""
        return self.trials.filter(pl.col("state") == COMPLETE).sort("ended")

    def best_first(self) -> pl.DataFrame:
        """Return the complete trials ordered by the first objective."""
        done = self.trials.filter(pl.col("state") == COMPLETE)
        return done.sort(self.objective, descending=not smaller_is_better(self.objective))

    def most_important(self) -> list[str]:
        """Return the keys that any complete trial drew, the most important ones first."""
        keys = [k for k in self.record.dimensions if f"param.{k}" in self.trials.columns]
        none = Importance(0.0, 0)
        return sorted(keys, key=lambda key: -self.importances.get(key, none).score)

    def column(self, key: str) -> Column:
        """Return the values of a hyper-parameter over the complete trials."""
        drawn = self.complete[f"param.{key}"]
        if drawn.dtype != pl.String:
            return Column(drawn.to_list(), (), key in self.record.logarithmic)
        choices = self.record.dimensions[key]
        labels = [json.dumps(choice) for choice in choices]
        positions = [labels.index(v) if v in labels else None for v in drawn]
        return Column(positions, [str(choice) for choice in choices], log=False)


def smaller_is_better(objective: str) -> bool:
    """Return whether an objective is minimised."""
    return DIRECTION[objective] == "minimize"
