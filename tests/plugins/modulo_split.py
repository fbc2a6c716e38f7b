"""A split of a plug-in: by row number within the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from ctrkit.data.read.chunks import Chunk
from ctrkit.data.read.sources import Source
from ctrkit.data.split.base import SplitPlan
from ctrkit.registry import register
from ctrkit.schema import Schema, Split


@register("split", "modulo")
@dataclass(frozen=True)
class ModuloSplit(SplitPlan):
    """By row number modulo ten, at the ratios."""

    @classmethod
    def decide(cls, source: Source, schema: Schema, split: Split, seed: int) -> Self:
        """Take the options; nothing is read."""
        return cls(split)

    def assign(self, chunk: Chunk) -> npt.NDArray[np.uint8]:
        """Return the split of each row."""
        rows = chunk.first_row + np.arange(chunk.frame.height)
        ends = np.cumsum(self.split.ratios)[:2] / sum(self.split.ratios) * 10
        return np.searchsorted(ends, rows % 10, side="right").astype(np.uint8)
