"""The contract of flags: evidence as plain data, on any column, and one line of text.

A test suite asserts on :func:`check_flag`; ``ctrkit check FILE`` prints its verdicts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import polars as pl

from ctrkit.rank.describe import describe
from ctrkit.rank.feature import Feature
from ctrkit.rank.flags.base import Flag
from ctrkit.rank.joint import JointCounts
from ctrkit.rank.result import Evidence
from ctrkit.rank.rows import RowClasses
from ctrkit.rank.statistics import Scorer
from ctrkit.rank.tables import tables
from ctrkit.registry import registry
from ctrkit.schema import Field, Schema
from ctrkit.testing.verdicts import Verdict, require, run_checks

ROWS = 600
KINDS = {"number": "numeric", "list": "multi"}
CLEAN = "clean"


@dataclass(frozen=True)
class FlagCase:
    """Described columns, and the flag.

    Attributes:
        flag: The flag.
        features: Columns with many kinds of fault, in one period and in thirds.
        scorer: Scorer against the label.
    """

    flag: Flag
    features: list[Feature]
    scorer: Scorer

    def evidence(self) -> list[tuple[str, Evidence]]:
        """Return the flagged features, with the evidence."""
        found = [(f.name, self.flag.of_column(f, self.scorer)) for f in self.features]
        return [(name, evidence) for name, evidence in found if evidence is not None]


def check_flag(name: str) -> list[Verdict]:
    """Run the contract suite on a registered flag.

    Checked: columns that are constant, empty, copies, ids, numbers and lists raise no error; the
    evidence is plain JSON and its message one line; an ordinary informative column has no flag;
    the same column has the same evidence.

    Args:
        name: Registered name.
    """
    label = np.arange(ROWS) % 2
    features = [*_described(label, periods=1), *_described(label, periods=3)]
    case = FlagCase(registry.get("flag", name)(), features, Scorer(np.bincount(label)))
    return run_checks(
        name,
        case,
        {
            "any column": _any_column,
            "evidence": _evidence,
            "clean column": _clean_column,
            "deterministic": _deterministic,
        },
    )


def _described(label: np.ndarray[tuple[int], np.dtype[np.int64]], periods: int) -> list[Feature]:
    draw = np.random.default_rng(0)
    signal = np.where(draw.random(ROWS) < 0.3, label, draw.integers(0, 8, ROWS))
    frame = pl.DataFrame(
        {
            CLEAN: signal,
            "copy": label,
            "constant": ["c"] * ROWS,
            "empty": pl.Series([None] * ROWS, dtype=pl.String),
            "once": ["o", *[None] * (ROWS - 1)],
            "ordered_id": np.argsort(np.argsort(label, kind="stable")),
            "moving": np.arange(ROWS) // 200,
            "stopped": ["v" if i < ROWS // 3 else None for i in range(ROWS)],
            "number": draw.normal(size=ROWS),
            "list": [["a", "b"][: i % 3] for i in range(ROWS)],
        }
    )
    fields = tuple(Field(n, KINDS.get(n, "categorical")) for n in frame.columns)  # type: ignore[arg-type]
    schema = Schema(fields, label="label")
    rows = RowClasses(schema, bounds=(200.0, 400.0) if periods == 3 else None)
    period = np.arange(ROWS) * periods // ROWS
    counts = JointCounts(schema, rows.width)
    counts.update(frame, (period * rows.classes + label).astype(np.uint8))
    totals = counts.totals.reshape(-1, rows.classes)
    return describe(tables(counts, rows), Scorer(totals.sum(axis=0)), totals, rare=5)


def _any_column(case: FlagCase) -> None:
    case.evidence()


def _evidence(case: FlagCase) -> None:
    for name, evidence in case.evidence():
        plain = dict(evidence)
        same = json.loads(json.dumps(plain, allow_nan=False)) == plain
        require(same, f"the evidence of {name!r} must be plain JSON values")
        message = case.flag.message(evidence)
        require(bool(message) and "\n" not in message, f"the message of {name!r} must be one line")


def _clean_column(case: FlagCase) -> None:
    flagged = [name for name, _ in case.evidence()]
    require(CLEAN not in flagged, "an ordinary informative column must have no flag")


def _deterministic(case: FlagCase) -> None:
    require(case.evidence() == case.evidence(), "the same columns have other evidence")
