"""How the values of a feature are spread."""

from __future__ import annotations

from dataclasses import dataclass

from ctrkit.rank.null import over_classes
from ctrkit.rank.tables import Table

REPETITIONS = (1, 2, 5, 10, 100, 1_000, 10_000, 100_000)


@dataclass(frozen=True)
class Shape:
    """How a feature's values are spread.

    Attributes:
        cardinality: Distinct values, missing not counted.
        coverage: Share of rows that are not missing.
        rare_share: Share of the known rows whose value occurs fewer than ``rare`` times.
        top_share: Share of the known rows with the most frequent value.
        repetitions: ``{r: values that occur at least r times}``.
    """

    cardinality: int
    coverage: float
    rare_share: float
    top_share: float
    repetitions: dict[str, int]


def shape_of(table: Table, rare: int = 5) -> Shape:
    """Describe the values of a table; a value is rare below ``rare`` rows."""
    size = over_classes(table.known)
    known, missing = int(size.sum()), int(table.missing.sum())
    share = float(size[size < rare].sum()) / known if known else 0.0
    return Shape(
        cardinality=len(size),
        coverage=known / (known + missing) if known + missing else 0.0,
        rare_share=share,
        top_share=float(size.max()) / known if known else 0.0,
        repetitions={str(r): int((size >= r).sum()) for r in REPETITIONS},
    )
