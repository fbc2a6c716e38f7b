"""The split by files: every file is in one split."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from ctrkit.data.columns.times import WITHOUT_TIME
from ctrkit.data.read.chunks import Chunk
from ctrkit.data.read.sources import Source
from ctrkit.data.split.base import SPLIT_NAMES, SPLITS, SplitPlan
from ctrkit.errors import DataError
from ctrkit.registry import register
from ctrkit.schema import Schema, Split


@register("split", "files")
@dataclass(frozen=True)
class FileSplit(SplitPlan):
    """By files: their names name the split, else the last files are the test.

    Attributes:
        files: Split of each file.
    """

    files: tuple[int, ...]

    @classmethod
    def decide(cls, source: Source, schema: Schema, split: Split, seed: int) -> Self:
        """Read the names of the files.

        Raises:
            DataError: The names do not decide, and there are fewer than three files.
        """
        return cls(split, splits_of_files(source.files, split.ratios))

    def assign(self, chunk: Chunk) -> npt.NDArray[np.uint8]:
        """Return the split of the chunk's file for every row."""
        return np.full(chunk.frame.height, self.files[chunk.file], np.uint8)

    def decisions(self) -> dict[str, object]:
        """Return the split of each file."""
        return {"files": list(self.files)}


def splits_of_files(files: Sequence[str], ratios: tuple[float, float, float]) -> tuple[int, ...]:
    """Return the split of each file: by its name if every name decides, else by its place.

    Raises:
        DataError: The names do not decide, and there are fewer than three files.
    """
    named = [split for split in map(_named_split, files) if split is not None]
    if len(named) == len(files):
        return tuple(named)
    if len(files) < len(SPLITS):
        raise DataError(
            f"a split by files needs at least 3 files, or files named train, validation, test; "
            f"got {len(files)}: give more files, {WITHOUT_TIME}"
        )
    shares = np.array(ratios) / sum(ratios)
    test = max(1, round(float(shares[2]) * len(files)))
    validation = max(1, round(float(shares[1]) * len(files)))
    train = len(files) - test - validation
    if train < 1:
        train, validation, test = len(files) - 2, 1, 1
    return (0,) * train + (1,) * validation + (2,) * test


def _named_split(file: str) -> int | None:
    """Return the split named by the file, else by the nearest folder that names one."""
    for name in reversed(Path(file).parts):
        words = [w for w in re.split(r"[^a-z]+", name.lower()) if w in SPLIT_NAMES]
        if words:
            return SPLIT_NAMES[words[0]]
    return None
