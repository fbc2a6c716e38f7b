"""Which row is train, validation or test: by hash, time, column or file; never by chunking."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.columns.groups import hash_ids
from ctrkit.data.columns.times import WITHOUT_TIME as WAY_OUT
from ctrkit.data.columns.times import TimeColumn, count_times
from ctrkit.data.hashing import splitmix64
from ctrkit.data.read.sources import Chunk, Source
from ctrkit.data.split.by_time import boundaries
from ctrkit.errors import DataError, SchemaError, nearest
from ctrkit.schema import Schema, Split, SplitBy

SPLITS = ("train", "validation", "test")
LEFT_OUT = 3
_NAMES = {"train": 0, "validation": 1, "valid": 1, "val": 1, "test": 2}


@dataclass(frozen=True)
class SplitPlan:
    """A decided split: a function of a row's values, file and row number alone.

    Attributes:
        split: What was asked.
        seed: Of the random split.
        column: Column that decides (key, time or split column), if any.
        bounds: By time: first time of validation and of test (microseconds for dates).
        calendar: By time: whether times are dates.
        files: By files: the split of each file.
    """

    split: Split
    seed: int = 0
    column: str | None = None
    bounds: tuple[float, float] | None = None
    calendar: bool = False
    files: tuple[int, ...] = ()

    def row_ids(self, chunk: Chunk) -> npt.NDArray[np.uint64]:
        """Return (n,) identities of rows: a bijection of file ordinal and row number."""
        rows = np.arange(chunk.first_row, chunk.first_row + chunk.frame.height, dtype=np.uint64)
        return splitmix64(rows | np.uint64(chunk.file << 40))

    def assign(self, chunk: Chunk) -> npt.NDArray[np.uint8]:
        """Return (n,) of 0 train, 1 validation, 2 test, 3 left out.

        Raises:
            DataError: A row's time or split value cannot be read.
        """
        if self.split.by == "files":
            return np.full(chunk.frame.height, self.files[chunk.file], np.uint8)
        if self.split.by == "random":
            return self._by_hash(chunk)
        assert self.column is not None
        if self.split.by == "time":
            return self._by_time(chunk.frame)
        return _by_column(chunk.frame.get_column(self.column))

    def _by_hash(self, chunk: Chunk) -> npt.NDArray[np.uint8]:
        salt = splitmix64(np.array([self.seed], np.uint64))
        hashes = splitmix64(self.row_ids(chunk) ^ salt)
        if self.column is not None:
            keys = hash_ids(chunk.frame.get_column(self.column), self.seed)
            known = keys.is_not_null().to_numpy()
            hashes = np.where(known, splitmix64(keys.fill_null(0).to_numpy()), hashes)
        unit = (hashes >> np.uint64(11)).astype(np.float64) * 2.0**-53
        ends = np.cumsum(self.split.ratios)[:2] / sum(self.split.ratios)
        return np.searchsorted(ends, unit, side="right").astype(np.uint8)

    def _by_time(self, frame: pl.DataFrame) -> npt.NDArray[np.uint8]:
        assert self.bounds is not None
        times = TimeColumn(str(self.column), self.calendar).read(frame)
        parts = np.searchsorted(np.array(self.bounds), times, side="right").astype(np.uint8)
        gap = self.split.embargo * (1e6 if self.calendar else 1)
        gap = int(gap) if float(gap).is_integer() else gap  # integers beyond 2**53 stay exact
        for part, bound in enumerate(self.bounds):
            parts[(parts == part) & (times >= bound - gap)] = LEFT_OUT
        return parts

    def describe(self) -> dict[str, Any]:
        """Return what reproduces the plan, as plain JSON values."""
        return {
            "by": self.split.by,
            "ratios": list(self.split.ratios),
            "embargo": self.split.embargo,
            "seed": self.seed if self.split.by == "random" else None,
            "column": self.column,
            "bounds": None if self.bounds is None else list(self.bounds),
            "files": list(self.files),
        }


def _by_column(values: pl.Series) -> npt.NDArray[np.uint8]:
    text = values.cast(pl.String).str.to_lowercase()
    codes = text.replace_strict(_NAMES, default=None, return_dtype=pl.UInt8)
    if codes.null_count():
        at = int(codes.is_null().arg_max() or 0)
        raise DataError(
            f"split column {values.name!r} holds {values[at]!r}; known: {', '.join(_NAMES)}"
        )
    return codes.to_numpy().astype(np.uint8, copy=False)


def plan_split(
    source: Source, schema: Schema, *, by: str | None = None, seed: int = 0
) -> SplitPlan:
    """Decide a split; reads at most the one column that decides.

    Args:
        source: The rows.
        schema: Declares the split, time and key columns.
        by: Overrides the schema's ``[split] by``.
        seed: Of the random split.

    Raises:
        SchemaError: A column that the split needs is not declared.
        DataError: A split would be empty, or a value cannot be read.
    """
    split = schema.effective_split
    if by is not None and by != split.by:
        if by not in get_args(SplitBy) or by == "column":
            raise SchemaError(f"data.split is one of random, time, files; got {by!r}")
        split = replace(split, by=cast(SplitBy, by), column=None)
    plan = SplitPlan(split, seed)
    if split.by == "random":
        plan = replace(plan, column=schema.key)
    elif split.by == "column":
        plan = replace(plan, column=split.column)
    elif split.by == "files":
        plan = replace(plan, files=_plan_files(source.files, split.ratios))
    if plan.column is not None and plan.column not in source.columns:
        hint = nearest(plan.column, source.columns)
        raise SchemaError(f"the split needs the column {plan.column!r}, not in the data{hint}")
    if split.by == "time":
        plan = _plan_time(source, schema.time, plan)
    _check_filled(source, plan)
    return plan


def _plan_time(source: Source, time: str | None, plan: SplitPlan) -> SplitPlan:
    if time is None:
        raise SchemaError(f"a split by time needs a time column: --time COLUMN, or {WAY_OUT}")
    column = TimeColumn.of(source, time)
    times, counts = count_times(source, column)
    if len(times) < 3:
        raise DataError(
            f"time column {time!r} has {len(times)} distinct times, a split needs 3: {WAY_OUT}"
        )
    bounds = boundaries(times, counts, plan.split.ratios)
    return replace(plan, column=time, calendar=column.calendar, bounds=bounds)


def _plan_files(files: Sequence[str], ratios: tuple[float, float, float]) -> tuple[int, ...]:
    """Let names decide where every file's does, else the last files are the test."""
    named = [_named(f) for f in files]
    if all(part is not None for part in named):
        return tuple(part for part in named if part is not None)
    if len(files) < 3:
        raise DataError(f"a split by files needs 3 files or more; got {len(files)}: {WAY_OUT}")
    shares = np.array(ratios) / sum(ratios)
    test = max(1, round(float(shares[2]) * len(files)))
    validation = max(1, round(float(shares[1]) * len(files)))
    train = len(files) - test - validation
    if train < 1:
        train, validation, test = len(files) - 2, 1, 1
    return (0,) * train + (1,) * validation + (2,) * test


def _named(file: str) -> int | None:
    """Return the split that a file's name, or its nearest telling folder, says."""
    for part in reversed(Path(file).parts):
        words = [w for w in re.split(r"[^a-z]+", part.lower()) if w in _NAMES]
        if words:
            return _NAMES[words[0]]
    return None


def _check_filled(source: Source, plan: SplitPlan) -> None:
    """Stop at the first row of the last split that is found, so most plans read little."""
    found: set[int] = set()
    columns = [plan.column] if plan.column else list(source.columns)[:1]
    for chunk in source.chunks(columns):
        found |= set(np.unique(plan.assign(chunk)).tolist())
        if found >= {0, 1, 2}:
            return
    empty = [name for part, name in enumerate(SPLITS) if part not in found]
    raise DataError(
        f"the split by {plan.split.by} leaves no rows for {' and '.join(empty)}; "
        "give more rows, other ratios, a smaller embargo, or another data.split"
    )
