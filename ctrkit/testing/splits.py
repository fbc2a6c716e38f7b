"""The contract of splits: a row's split depends on the row alone, never on how it is read.

A test suite asserts on :func:`check_split`; ``ctrkit check FILE`` prints its verdicts.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.read.chunks import Chunk
from ctrkit.data.read.sources import Source, open_source
from ctrkit.data.split.base import LEFT_OUT, SPLITS, SplitPlan
from ctrkit.data.split.plan import plan_split
from ctrkit.schema import Schema, Split
from ctrkit.testing.verdicts import Verdict, require, run_checks

FILES = ("train-0", "train-1", "validation", "test")
ROWS = 500  # of a file
SEED = 3


@dataclass(frozen=True)
class SplitCase:
    """Rows to split, and how.

    Attributes:
        source: Several files with the columns ``time``, ``user``, ``part`` and ``x``.
        schema: Schema that names the split and the roles of the columns.
    """

    source: Source
    schema: Schema

    def plan(self) -> SplitPlan:
        """Decide the split."""
        return plan_split(self.source, self.schema, seed=SEED)


def check_split(name: str, split: Split | None = None) -> list[Verdict]:
    """Run the contract suite on a registered split.

    Checked: one number per row, and rows in each of train, validation and test; the same for any
    chunking, for a row alone and for no rows; only the declared column is read; the seed decides;
    the description is plain JSON and names the split.

    Args:
        name: Registered name.
        split: Its options; None: the defaults (for ``column``: the column ``part``).
    """
    split = split or Split(by=name, column="part" if name == "column" else None)
    schema = Schema((), time="time", key="user", split=split)
    with tempfile.TemporaryDirectory() as folder:
        case = SplitCase(_write(Path(folder)), schema)
        return run_checks(
            name,
            case,
            {
                "every row once": _every_row_once,
                "any chunking": _any_chunking,
                "few rows": _few_rows,
                "one column": _one_column,
                "deterministic": _deterministic,
                "description": _description,
            },
        )


def _write(folder: Path) -> Source:
    draw = np.random.default_rng(0)
    for number, name in enumerate(FILES):
        rows = np.arange(ROWS) + number * ROWS
        frame = pl.DataFrame(
            {
                "time": rows,
                "user": [None if u == 0 else f"u{u}" for u in draw.integers(0, 300, ROWS)],
                "part": draw.choice(["train", "train", "valid", "test"], ROWS),
                "x": draw.normal(size=ROWS),
            }
        )
        frame.write_parquet(folder / f"{name}.parquet")
    return open_source(folder)


def _assign(case: SplitCase, rows: int = ROWS) -> npt.NDArray[np.uint8]:
    plan = case.plan()
    return np.concatenate([plan.assign(chunk) for chunk in case.source.chunks(rows=rows)])


def _every_row_once(case: SplitCase) -> None:
    splits = _assign(case)
    require(splits.dtype == np.uint8, f"split numbers must be uint8; got {splits.dtype}")
    shape = (len(FILES) * ROWS,)
    require(splits.shape == shape, f"expected split numbers of shape {shape}; got {splits.shape}")
    counts = np.bincount(splits, minlength=LEFT_OUT + 1)
    require(len(counts) == LEFT_OUT + 1, f"split numbers must be 0 to {LEFT_OUT}")
    for name, rows in zip(SPLITS, counts, strict=False):
        require(rows > 0, f"no row is in {name}")


def _any_chunking(case: SplitCase) -> None:
    expected = _assign(case)
    for rows in (1, 7, ROWS - 1):
        same = np.array_equal(_assign(case, rows), expected)
        require(same, f"chunks of {rows} rows are split differently")


def _few_rows(case: SplitCase) -> None:
    plan = case.plan()
    for chunk in case.source.chunks():
        expected = plan.assign(chunk)
        none, one = (plan.assign(chunk._replace(frame=chunk.frame.head(n))) for n in (0, 1))
        require(none.shape == (0,), f"no rows give split numbers of shape {none.shape}")
        require(one.tolist() == expected[:1].tolist(), "a row alone is split differently")


def _one_column(case: SplitCase) -> None:
    plan = case.plan()
    columns = [plan.column or "x"]
    for chunk in case.source.chunks():
        alone = Chunk(chunk.frame[list(columns)], chunk.file, chunk.first_row)
        same = np.array_equal(plan.assign(alone), plan.assign(chunk))
        require(same, f"the column {columns[0]!r} alone is split differently")


def _deterministic(case: SplitCase) -> None:
    first, second = case.plan(), case.plan()
    require(first == second, "two plans with the same seed differ")
    require(first.describe() == second.describe(), "two plans are described differently")
    require(np.array_equal(_assign(case), _assign(case)), "two plans split rows differently")


def _description(case: SplitCase) -> None:
    described = case.plan().describe()
    again = json.loads(json.dumps(described, allow_nan=False))
    require(again == described, "the description must be plain JSON values")
    by = case.schema.effective_split.by
    require(described["by"] == by, f"the description must name the split {by!r}")
