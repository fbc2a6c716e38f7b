"""The table behind a reliability plot."""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np

from ctrkit.metrics.arrays import Floats


class Reliability(NamedTuple):
    """Per bin of the predictions: rows, mean prediction, observed rate; each (bins,)."""

    rows: Floats
    predicted: Floats
    observed: Floats

    @classmethod
    def empty(cls) -> Self:
        """Return a table without bins."""
        return cls(np.zeros(0), np.zeros(0), np.zeros(0))
