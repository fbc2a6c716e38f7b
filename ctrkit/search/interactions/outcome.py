"""What a search over pairs of fields leaves, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ctrkit.search.interactions.config import InteractionSearchConfig
from ctrkit.search.interactions.information import Information
from ctrkit.search.outcome import Outcome, SearchRecord

OPERATIONS = ("memorize", "factorize", "naive")
OURS = "optinter"
"""Name of the search's own rows in the record."""


@dataclass(frozen=True, kw_only=True)
class PairsOutcome(Outcome):
    """A model with an operation for each pair of fields.

    Attributes:
        name: Name of the control; None for the search's own model.
        fields: Number of fields.
        train_examples_s: Training rows per second.
        pairs: Number of pairs by operation.
        cross_rows: Table rows of memorized crosses.
        cross_bytes: Size of these rows.
        label: What differs from the other runs, such as ``hashed to fit``; empty if nothing is.
        search_s: Seconds of the search; None for a control.
    """

    name: str | None = None
    fields: int
    train_examples_s: float
    pairs: Mapping[str, int]
    cross_rows: int
    cross_bytes: int
    label: str = ""
    search_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class PairChoice:
    """The operation that was chosen for a pair.

    Attributes:
        fields: The two fields.
        op: ``memorize``, ``factorize`` or ``naive``.
        rows: Crosses that have, or would have, their own row; 0 unless memorized.
        min_count: Training rows that a cross needs for its own row; 0 if rows are shared.
        probability: Of the three operations, in the order above.
        searched: Whether the pair was part of the search; if not, it is naive.
        information: Information of the pair about the label; None if it is unknown.
    """

    fields: Sequence[str]
    op: str
    rows: int
    min_count: int
    probability: Sequence[float]
    searched: bool
    information: Information | None = None


@dataclass(frozen=True, kw_only=True)
class InteractionsRecord(SearchRecord):
    """``record.json`` of a search over pairs of fields.

    Attributes:
        search: ``[search]``.
        fields: Names of the fields.
        pairs: What was chosen for each pair with the first seed.
        rows: The search's model (``optinter``) and its controls, one for each seed.
    """

    kind: ClassVar[str] = "interactions"
    search: InteractionSearchConfig
    fields: Sequence[str]
    pairs: Sequence[PairChoice]
    rows: Mapping[str, Sequence[PairsOutcome]]

    @property
    def decision(self) -> str:
        """How many pairs have which operation."""
        ops = [pair.op for pair in self.pairs]
        return ", ".join(f"{ops.count(op)} {op}" for op in OPERATIONS)

    @property
    def models(self) -> int:
        """Two: the search and the retraining."""
        return 2
