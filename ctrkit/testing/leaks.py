"""Twelve kinds of leak, planted into the rows of any data set, for the tests and the leak suite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.schema import Split

FIELD = "planted"
TIME, SPLIT = "planted_time", "planted_split"
_DAY = 86_400
_START = 1_700_000_000
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LeakCase:
    """Rows, the roles of their columns, and what was planted.

    Attributes:
        frame: ``(n,)`` rows with a label of 0 and 1.
        label: Column of the label.
        time: Column of the event time; None: the rows have none.
        split: How rows are split; None: as the schema decides.
        planted: Field that leaks; None: none, or whole rows do.
    """

    frame: pl.DataFrame
    label: str
    time: str | None = None
    split: Split | None = None
    planted: str | None = None

    @property
    def labels(self) -> Labels:
        """``(n,)`` labels."""
        return self.frame[self.label].cast(pl.Int64).to_numpy()

    @property
    def fields(self) -> list[str]:
        """Columns that may be fields."""
        roles = {self.label, self.time, self.split.column if self.split else None}
        return [name for name in self.frame.columns if name not in roles]

    def with_field(self, values: pl.Series | Sequence[str] | npt.NDArray[Any]) -> LeakCase:
        """Return the rows with a planted field."""
        column = values if isinstance(values, pl.Series) else pl.Series(values)
        return replace(self, frame=self.frame.with_columns(column.alias(FIELD)), planted=FIELD)


def plant_leak(kind: str, case: LeakCase, seed: int = 0) -> LeakCase:
    """Plant one kind of leak.

    Args:
        kind: A key of :data:`KINDS`.
        case: Rows without leaks, at least 1,000.
        seed: Seed of what is random.
    """
    return KINDS[kind](case, np.random.default_rng([seed, list(KINDS).index(kind)]))


def _label_copy(case: LeakCase, draw: np.random.Generator) -> LeakCase:
    """Hold the label as text."""
    return case.with_field(np.where(case.labels == 1, "yes", "no"))


def _near_copy(case: LeakCase, draw: np.random.Generator) -> LeakCase:
    """Hold the label, 3 % of it flipped."""
    flips = draw.random(len(case.labels)) < 0.03
    return case.with_field(np.where((case.labels == 1) ^ flips, "yes", "no"))


def _within_category(case: LeakCase, draw: np.random.Generator) -> LeakCase:
    """Hold the label in one category of another field; elsewhere a draw of the same rate."""
    inside = _category(case)
    random = draw.random(len(inside)) < case.labels.mean()
    return case.with_field(np.where(np.where(inside, case.labels == 1, random), "a", "b"))


def _category(case: LeakCase) -> npt.NDArray[np.bool_]:
    """Return the rows of the category, of any field, whose share is nearest to a sixth."""
    best, mask = 1.0, np.zeros(case.frame.height, bool)
    for name in case.fields:
        column = case.frame[name]
        if column.dtype.is_float() or column.dtype.is_nested() or column.n_unique() > 500:
            continue
        counts = column.drop_nulls().value_counts(sort=True).head(20)
        for value, count in counts.iter_rows():
            distance = abs(count / len(column) - 1 / 6)
            if distance < best:
                best, mask = distance, (column == value).fill_null(False).to_numpy()
    return mask


def _ids_by_label(case: LeakCase, draw: np.random.Generator) -> LeakCase:
    """Number the rows after sorting them by the label."""
    order = np.lexsort((draw.random(len(case.labels)), case.labels))
    ids = np.empty(len(order), np.int64)
    ids[order] = np.arange(len(order))
    return case.with_field(pl.Series(ids + 100_000).cast(pl.String))


def _future(case: LeakCase, draw: np.random.Generator) -> LeakCase:
    """Hold the last change of the record: of a third of the rows after the event."""
    timed = _with_time(case, draw)
    times = timed.frame[str(timed.time)]
    if times.dtype.is_temporal():
        times = times.cast(pl.Datetime("us")).to_physical() // 1_000_000
    age = draw.exponential(5 * _DAY, len(times))
    later = draw.random(len(times)) < 1 / 3
    return timed.with_field(times.to_numpy() + np.where(later, age, -age).astype(np.int64))


def _target_encoded(case: LeakCase, draw: np.random.Generator) -> LeakCase:
    """Hold the mean label of a category, over all rows."""
    best, most = "", -1
    for name in case.fields:
        column = case.frame[name]
        if column.dtype.is_nested():
            continue
        count = column.value_counts()["count"]
        frequent = int(((count >= 60) & (count < len(column) / 2)).sum())
        if frequent > most:
            best, most = name, frequent
    mean = pl.col(case.label).cast(pl.Float64).mean().over(best)
    return case.with_field(case.frame.select(mean).to_series())


def _duplicates(case: LeakCase, draw: np.random.Generator) -> LeakCase:
    """Repeat 4 % of the rows, anywhere."""
    rows = case.frame.height
    copied = draw.choice(rows, rows // 25, replace=False)
    order = draw.permutation(np.concatenate([np.arange(rows), copied]))
    return replace(case, frame=case.frame[order])


def _held_out_values(case: LeakCase, draw: np.random.Generator) -> LeakCase:
    """Hold sessions that occur either in training rows or in others; a column names the split."""
    rows = case.frame.height
    names = np.array(["train", "validation", "test"])[draw.choice(3, rows, p=[0.7, 0.15, 0.15])]
    frame = case.frame.with_columns(pl.Series(SPLIT, names))
    split = replace(case, frame=frame, time=None, split=Split(by="column", column=SPLIT))
    other = np.where(names == "train", "a", "b")
    return split.with_field(
        [f"{o}{s}" for o, s in zip(other, draw.integers(0, 40, rows), strict=True)]
    )


def _counts_after(case: LeakCase, draw: np.random.Generator) -> LeakCase:
    """Count the clicks of a session up to its end, this one and later ones included."""
    rows = len(case.labels)
    return case.with_field(
        draw.poisson(1, rows) + case.labels * (1 + draw.poisson(2, rows)),
    )


def _missing_by_label(case: LeakCase, draw: np.random.Generator) -> LeakCase:
    """Hold a number that is filled in for most positives and few negatives."""
    rows = len(case.labels)
    known = draw.random(rows) < np.where(case.labels == 1, 0.95, 0.08)
    return case.with_field(np.where(known, draw.lognormal(3, 1, rows).round(2), np.nan))


def _drift(case: LeakCase, draw: np.random.Generator) -> LeakCase:
    """Hold a version that changes with time."""
    timed = _with_time(case, draw)
    place = timed.frame[str(timed.time)].rank("ordinal").to_numpy() / timed.frame.height
    return timed.with_field([f"v{v}" for v in (place * 8 + draw.random(len(place))).astype(int)])


def _constant_by_class(case: LeakCase, draw: np.random.Generator) -> LeakCase:
    """Hold 0 for every positive, and for half of the negatives."""
    rows = len(case.labels)
    zero = (case.labels == 1) | (draw.random(rows) < 0.5)
    return case.with_field(np.where(zero, 0, draw.integers(1, 60, rows)))


def _with_time(case: LeakCase, draw: np.random.Generator) -> LeakCase:
    """Return the rows with a time: their own, else a month of seconds in random order."""
    if case.time is not None and _changes(case):
        return case
    times = _START + draw.integers(0, 30 * _DAY, case.frame.height)
    return replace(case, frame=case.frame.with_columns(pl.Series(TIME, times)), time=TIME)


def _changes(case: LeakCase) -> bool:
    return case.frame[str(case.time)].n_unique() > 100


KINDS: dict[str, Callable[[LeakCase, np.random.Generator], LeakCase]] = {
    "label copy": _label_copy,
    "near copy": _near_copy,
    "label within a category": _within_category,
    "ids ordered by label": _ids_by_label,
    "future timestamps": _future,
    "target-encoded over all rows": _target_encoded,
    "duplicates across splits": _duplicates,
    "validation-only values": _held_out_values,
    "counts after the event": _counts_after,
    "missingness by label": _missing_by_label,
    "drift": _drift,
    "constant by class": _constant_by_class,
}
"""Kind of leak -> what plants it."""
