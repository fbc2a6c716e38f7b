"""The record of a search for hyper-parameters, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ctrkit.search.outcome import Outcome, SearchRecord
from ctrkit.search.params.config import ParamsSearchConfig
from ctrkit.search.params.pareto import Importance

OURS = "the search"
BEFORE = "before"
"""Names of rows in the record: the winner, and the configuration before the search."""


@dataclass(frozen=True, kw_only=True)
class ParamsOutcome(Outcome):
    """A trained configuration.

    Attributes:
        seconds: Duration of the run.
    """

    seconds: float


@dataclass(frozen=True, kw_only=True)
class Member:
    """A trial in the record: the winner, or a member of the Pareto set.

    Attributes:
        trial: Number of the trial.
        values: Objective -> value.
        params: The drawn point, as Optuna stores it.
        config_sha256: Identity of the trial's resolved configuration.
        folder: The trial's folder, relative to the search folder.
    """

    trial: int
    values: Mapping[str, float]
    params: Mapping[str, Any]
    config_sha256: str | None
    folder: str


@dataclass(frozen=True, kw_only=True)
class ParamsRecord(SearchRecord):
    """``record.json`` of a search for hyper-parameters.

    Attributes:
        search: ``[search]``, without a password in ``storage``.
        winner: The trial with the best first objective.
        front: The Pareto set; of one objective, the best trials.
        counts: Number of trials by state (``complete``, ``pruned``, ``fail``), and ``retries``.
        seconds: Duration of the search.
        importances: Objective -> key -> importance.
        dimensions: Key -> choices, or the smallest and the largest number.
        logarithmic: Keys that are drawn on a logarithmic scale.
        rows: The winner and the configuration before the search, one for each seed.
    """

    kind: ClassVar[str] = "params"
    search: ParamsSearchConfig
    winner: Member
    front: Sequence[Member]
    counts: Mapping[str, int]
    seconds: float
    importances: Mapping[str, Mapping[str, Importance]]
    dimensions: Mapping[str, Sequence[Any]]
    logarithmic: Sequence[str]
    rows: Mapping[str, Sequence[ParamsOutcome]]

    @property
    def decision(self) -> str:
        """The trial that won."""
        return f"trial {self.winner.trial} of {self.models}"

    @property
    def models(self) -> int:
        """The number of finished trials."""
        return sum(self.counts[state] for state in ("complete", "pruned", "fail"))
