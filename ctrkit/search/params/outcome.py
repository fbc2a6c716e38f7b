"""What a search for hyper-parameters leaves, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ctrkit.search.outcome import Outcome, SearchRecord
from ctrkit.search.params.config import ParamsSearchConfig

OURS = "the search"
BEFORE = "before"
"""Names of rows in the record: the winner, and the configuration before the search."""


@dataclass(frozen=True, kw_only=True)
class ParamsOutcome(Outcome):
    """A configuration, trained.

    Attributes:
        seconds: Time of the run.
    """

    seconds: float


@dataclass(frozen=True, kw_only=True)
class Member:
    """A trial in the record: the winner, or one of the Pareto front.

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
        winner: The trial with the best first objective on the Pareto front.
        front: The Pareto front.
        counts: Number of trials by state, and of retries.
        seconds: Time of the search.
        importances: For each objective, the importance of each dimension and its deviation.
        dimensions: Choices, or the smallest and largest number, of each dimension.
        logarithmic: Dimensions that are drawn on a logarithmic scale.
        rows: The winner and the configuration before the search, one for each seed.
    """

    kind: ClassVar[str] = "params"
    search: ParamsSearchConfig
    winner: Member
    front: Sequence[Member]
    counts: Mapping[str, int]
    seconds: float
    importances: Mapping[str, Mapping[str, Sequence[float]]]
    dimensions: Mapping[str, Sequence[Any]]
    logarithmic: Sequence[str]
    rows: Mapping[str, Sequence[ParamsOutcome]]

    @property
    def decision(self) -> str:
        """Which trial won."""
        return f"trial {self.winner.trial} of {self.models}"

    @property
    def models(self) -> int:
        """One for each trial that ended."""
        return sum(self.counts[state] for state in ("complete", "pruned", "fail"))
