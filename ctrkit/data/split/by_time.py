"""The boundaries of a split by time, in flat memory."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ctrkit.data.columns.times import Times


def boundaries(
    times: Times, counts: npt.NDArray[np.int64], ratios: tuple[float, float, float]
) -> tuple[float, float]:
    """Return the first time of validation and of test, shares as near the ratios as can be."""
    before = np.concatenate([[0], np.cumsum(counts)[:-1]]) / counts.sum()
    shares = np.cumsum(ratios) / sum(ratios)
    first = 1 + int(np.argmin(np.abs(before[1:-1] - shares[0])))
    second = first + 1 + int(np.argmin(np.abs(before[first + 1 :] - shares[1])))
    return times[first].item(), times[second].item()
