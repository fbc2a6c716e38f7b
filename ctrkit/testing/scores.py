"""The contract of ranking scores: a score depends on the counts of values, not on their names.

A test suite asserts on :func:`check_score`; ``ctrkit check FILE`` prints its verdicts.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from ctrkit.data.read.sources import Source, frame_source, open_source
from ctrkit.errors import DataError
from ctrkit.rank import RankOptions, rank_source
from ctrkit.rank.scores.base import RankingScore
from ctrkit.registry import registry
from ctrkit.schema import Field, Schema
from ctrkit.testing.verdicts import Verdict, require, run_checks

ROWS = 3_000
FIELDS = ("signal", "noise", "constant", "empty", "once", "row_id")
SHARDS = 3


@dataclass(frozen=True)
class ScoreCase:
    """Rows to rank, and the score.

    Attributes:
        name: Registered name of the score.
        score: The score.
        frame: Rows of :data:`FIELDS` and ``label``.
    """

    name: str
    score: RankingScore
    frame: pl.DataFrame

    def of_frame(self, frame: pl.DataFrame) -> dict[str, float | None]:
        """Return field -> score."""
        return self.of_source(frame_source(frame))

    def of_source(self, source: Source, order: int = 1) -> dict[str, float | None]:
        """Return feature or cross -> score."""
        options = RankOptions(score=self.name, order=order)
        ranking = rank_source(source, Schema(_fields(), label="label"), options)
        return {row.name: row.score for row in ranking.features}


def check_score(name: str) -> list[Verdict]:
    """Run the contract suite on a registered ranking score.

    Checked: finite, or none, on columns that are constant, empty, known in one row, or an id, and
    on two rows; a signal scores above a constant; the order of the rows, the names of the values
    and the sharding do not change a score that declares ``any_order``; crosses have finite scores.

    Args:
        name: Registered name.
    """
    case = ScoreCase(name, registry.get("score", name)(), _frame())
    return run_checks(
        name,
        case,
        {
            "finite": _finite,
            "few rows": _few_rows,
            "signal": _signal,
            "deterministic": _deterministic,
            "any order": _any_order,
            "relabelling": _relabelling,
            "merging": _merging,
            "crosses": _crosses,
        },
    )


def _fields() -> tuple[Field, ...]:
    return tuple(Field(name, "categorical") for name in FIELDS)


def _frame() -> pl.DataFrame:
    draw = np.random.default_rng(0)
    label = draw.integers(0, 2, ROWS)
    signal = np.where(draw.random(ROWS) < 0.5, label, draw.integers(0, 10, ROWS))
    return pl.DataFrame(
        {
            "label": label,
            "signal": [f"s{v}" for v in signal],
            "noise": [None if v == 0 else f"n{v}" for v in draw.integers(0, 50, ROWS)],
            "constant": ["c"] * ROWS,
            "empty": pl.Series([None] * ROWS, dtype=pl.String),
            "once": ["o", *[None] * (ROWS - 1)],
            "row_id": [f"r{i}" for i in range(ROWS)],
        }
    )


def _require_finite(scores: dict[str, float | None]) -> None:
    for name, score in scores.items():
        require(score is None or math.isfinite(score), f"the score of {name!r} is {score}")


def _require_same(got: dict[str, float | None], expected: dict[str, float | None]) -> None:
    for name, score in expected.items():
        require(got[name] == score, f"the score of {name!r} is {got[name]}, before it was {score}")


def _finite(case: ScoreCase) -> None:
    scores = case.of_frame(case.frame)
    require(set(scores) == set(FIELDS), f"expected a score per field; got {sorted(scores)}")
    _require_finite(scores)


def _few_rows(case: ScoreCase) -> None:
    frame = pl.concat([case.frame.filter(label=value).head(1) for value in (0, 1)])
    try:
        _require_finite(case.of_frame(frame))
    except DataError as error:
        require("\n" not in str(error), "an error must be one line")


def _signal(case: ScoreCase) -> None:
    scores = case.of_frame(case.frame)
    signal, constant = scores["signal"], scores["constant"]
    above = signal is not None and (constant is None or signal > constant)
    require(above, f"a signal scores {signal}, a constant {constant}")


def _deterministic(case: ScoreCase) -> None:
    _require_same(case.of_frame(case.frame), case.of_frame(case.frame))


def _any_order(case: ScoreCase) -> None:
    if case.score.any_order:
        shuffled = case.frame.sample(fraction=1, shuffle=True, seed=1)
        _require_same(case.of_frame(shuffled), case.of_frame(case.frame))


def _relabelling(case: ScoreCase) -> None:
    if case.score.any_order:
        renamed = case.frame.with_columns(pl.col(pl.String).str.reverse() + "!")
        _require_same(case.of_frame(renamed), case.of_frame(case.frame))


def _merging(case: ScoreCase) -> None:
    if not case.score.any_order:
        return
    with tempfile.TemporaryDirectory() as folder:
        for shard, rows in enumerate(case.frame.iter_slices(-(-ROWS // SHARDS))):
            rows.write_parquet(Path(folder) / f"{shard}.parquet")
        _require_same(case.of_source(open_source(folder)), case.of_frame(case.frame))


def _crosses(case: ScoreCase) -> None:
    if case.score.ranks_crosses:
        scores = case.of_source(frame_source(case.frame), order=2)
        require("signal x noise" in scores, "no cross was ranked")
        _require_finite(scores)
