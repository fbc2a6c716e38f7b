"""What every split has in common: options in, a split number per row out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ctrkit.data.read.chunks import Chunk
from ctrkit.data.read.sources import Source
from ctrkit.schema import Schema, Split

SPLITS = ("train", "validation", "test")
LEFT_OUT = len(SPLITS)
"""Number of the rows that belong to no split."""
SPLIT_NAMES = {"train": 0, "validation": 1, "valid": 1, "val": 1, "test": 2}
"""Names of splits, as columns and files spell them, and their numbers."""


@dataclass(frozen=True)
class SplitPlan(ABC):
    """A decided split: a function of a row's values, file and row number alone.

    Register a subclass by ``@register("split", name)``.

    Attributes:
        split: Options of the split.
    """

    split: Split

    @classmethod
    @abstractmethod
    def decide(cls, source: Source, schema: Schema, split: Split, seed: int) -> Self:
        """Decide the split; read at most the one column that decides.

        Args:
            source: Rows to split.
            schema: Schema that names the roles of columns.
            split: Options of the split.
            seed: Seed of what is random.

        Raises:
            SchemaError: A column that the split needs is not declared or not in the data.
            DataError: The data cannot be split, or a value cannot be read.
        """

    @abstractmethod
    def assign(self, chunk: Chunk) -> npt.NDArray[np.uint8]:
        """Return ``(n,)`` of 0 train, 1 validation, 2 test, 3 left out.

        Raises:
            DataError: A value that decides cannot be read.
        """

    @property
    def column(self) -> str | None:
        """Column that :meth:`assign` reads, if any."""
        return None

    def decisions(self) -> dict[str, object]:
        """Return what was decided, as plain JSON values: ``seed, column, bounds, files``."""
        return {}

    def describe(self) -> dict[str, Any]:
        """Return what reproduces the split, as plain JSON values."""
        return {
            "by": self.split.by,
            "ratios": list(self.split.ratios),
            "embargo": self.split.embargo,
            "seed": None,
            "column": self.column,
            "bounds": None,
            "files": [],
            **self.decisions(),
        }
