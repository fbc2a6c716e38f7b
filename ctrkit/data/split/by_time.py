"""The split by time: the last rows are the test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from ctrkit.data.columns.times import WITHOUT_TIME, TimeColumn, Times, count_times
from ctrkit.data.read.chunks import Chunk
from ctrkit.data.read.sources import Source
from ctrkit.data.split.base import LEFT_OUT, SplitPlan
from ctrkit.errors import DataError, SchemaError
from ctrkit.registry import register
from ctrkit.schema import Schema, Split

_SECOND = 1e6  # microseconds


@register("split", "time")
@dataclass(frozen=True)
class TimeSplit(SplitPlan):
    """By time: training rows come first, test rows last.

    Attributes:
        time: Time column.
        bounds: First time of validation and of test (microseconds for dates).
    """

    time: TimeColumn
    bounds: tuple[float, float]

    @classmethod
    def decide(cls, source: Source, schema: Schema, split: Split, seed: int) -> Self:
        """Count the rows per time; cut between two times, as near the ratios as possible.

        Raises:
            SchemaError: The schema declares no time column.
            DataError: A time cannot be read, or there are fewer than three distinct times.
        """
        if schema.time is None:
            raise SchemaError(
                f"a split by time needs a time column: name it with --time, {WITHOUT_TIME}"
            )
        column = TimeColumn.of(source, schema.time)
        times, counts = count_times(source, column)
        if len(times) < 3:
            raise DataError(
                f"time column {column.name!r} must have at least 3 distinct times to split by; "
                f"got {len(times)}: name another column, {WITHOUT_TIME}"
            )
        return cls(split, column, boundaries(times, counts, split.ratios))

    @property
    def column(self) -> str:
        """The time column."""
        return self.time.name

    def assign(self, chunk: Chunk) -> npt.NDArray[np.uint8]:
        """Compare the times with the bounds; rows within the embargo are left out."""
        times = self.time.read(chunk.frame, chunk.first_row)
        splits = np.searchsorted(np.array(self.bounds), times, side="right").astype(np.uint8)
        gap = self.split.embargo * (_SECOND if self.time.calendar else 1)
        gap = int(gap) if float(gap).is_integer() else gap  # integers beyond 2**53 stay exact
        for split, bound in enumerate(self.bounds):
            splits[(splits == split) & (times >= bound - gap)] = LEFT_OUT
        return splits

    def decisions(self) -> dict[str, object]:
        """Return the bounds."""
        return {"bounds": list(self.bounds)}


def boundaries(
    times: Times, counts: npt.NDArray[np.int64], ratios: tuple[float, float, float]
) -> tuple[float, float]:
    """Return the first time of validation and of test, as near the ratios as possible.

    Args:
        times: ``(k,)`` ascending, at least three.
        counts: ``(k,)`` rows of each time.
        ratios: Shares of train, validation and test.
    """
    before = np.concatenate([[0], np.cumsum(counts)[:-1]]) / counts.sum()
    shares = np.cumsum(ratios) / sum(ratios)
    first = 1 + int(np.argmin(np.abs(before[1:-1] - shares[0])))
    second = first + 1 + int(np.argmin(np.abs(before[first + 1 :] - shares[1])))
    return times[first].item(), times[second].item()
