"""The contract of field encoders: what is counted, frozen, encoded, saved and pruned fits together.

A test suite asserts on :func:`check_field_encoder`; ``ctrkit check FILE`` prints its verdicts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from ctrkit.data.encode.counts import Counts
from ctrkit.data.encode.encoder import Encoder
from ctrkit.data.encode.field import Mask, kept_codes
from ctrkit.data.encode.prune import prune
from ctrkit.layout import LayoutField
from ctrkit.registry import registry
from ctrkit.schema import DROPPED, MISSING, RESERVED, UNSEEN, Field, Schema
from ctrkit.testing.verdicts import Verdict, require, run_checks

ROWS = 150
EncoderKind = Literal["encoding", "transform", "bucket"]
Row = float | tuple[float, ...] | None
"""An encoded row: a code, a number (None: missing), or the codes of a list."""


@dataclass(frozen=True)
class EncoderCase:
    """A field, and columns to train and to try its encoder on.

    Attributes:
        field: Declares the encoder.
        seen: (n,) training values, some of them missing and some rare.
        unseen: Values that training does not hold.
        missing: Missing values, the type of the column among them.
    """

    field: Field
    seen: pl.Series
    unseen: pl.Series
    missing: pl.Series

    @property
    def schema(self) -> Schema:
        """A schema of this field alone."""
        return Schema((self.field,))

    def counts(self, parts: Sequence[pl.Series]) -> Counts:
        """Count a column in parts."""
        counts = Counts(self.schema)
        for part in parts:
            counts.update(part.to_frame())
        return counts

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder, fitted on the training values."""
        return Encoder.fit(self.schema, self.counts([self.seen]))

    @property
    def layout_field(self) -> LayoutField:
        """What the layout says of the field."""
        (layout_field,) = self.encoder.layout().fields
        return layout_field


def check_field_encoder(kind: EncoderKind, name: str) -> list[Verdict]:
    """Run the contract suite on a registered field encoder.

    Checked: codes are in the layout and named, and lead back to their values; unseen and missing
    values have their own codes; no rows and a row alone; counts are equal for any sharding and
    merging; a saved encoder is read back equal; pruning leaves the other codes consistent. An
    encoding is tried on categories and on lists.

    Args:
        kind: Kind in the registry.
        name: Registered name.
    """
    registry.get(kind, name)
    verdicts = []
    for case in _numbers(kind, name) if kind != "encoding" else _categories(name):
        checks = {
            "layout": _layout,
            "round trip": _round_trip,
            "unseen": _unseen,
            "missing": _missing,
            "no rows": _no_rows,
            "one row": _one_row,
            "counts": _counts,
            "saved": _saved,
            "pruned": _pruned,
        }
        verdicts += run_checks(f"{name} ({case.field.name})", case, checks)
    return verdicts


def _categories(name: str) -> list[EncoderCase]:
    """Return a field of few values, one of more values than ``max_rows``, and one of lists."""
    draw = np.random.default_rng(0)
    values = [f"v{v}" if v else None for v in draw.zipf(1.5, ROWS) % 12]
    lists = [values[i : i + int(n)] for i, n in enumerate(draw.integers(0, 4, ROWS))]
    field = Field("few", "categorical", encoding=name)
    texts = pl.Series(values, dtype=pl.String), pl.Series(["new", ""]), _nulls(pl.String())
    bags = (
        pl.Series([bag if i % 9 else None for i, bag in enumerate(lists)]),
        pl.Series([["new"], ["newer", "new"]]),
        _nulls(pl.List(pl.String())),
    )
    return [
        _case(field, *texts),
        _case(replace(field, name="many", max_rows=3), *texts),
        _case(replace(field, name="lists", kind="multi"), *bags),
    ]


def _numbers(kind: str, name: str) -> list[EncoderCase]:
    """Return a field of numbers: whole, tied, negative, large and missing ones."""
    draw = np.random.default_rng(0)
    z = np.round(draw.normal(size=ROWS) * 50) / 2
    z[::7], z[::31], z[5] = 3.0, np.nan, 1e12
    encoding = "raw" if kind == "transform" else "buckets"
    field = Field("number", "numeric", encoding=encoding, transform=name, bins=8)
    unseen = pl.Series([0.123, -1e300, 1e300])
    return [_case(field, pl.Series(z), unseen, _nulls(pl.Float64()))]


def _case(field: Field, *columns: pl.Series) -> EncoderCase:
    seen, unseen, missing = (column.alias(field.name) for column in columns)
    return EncoderCase(field, seen, unseen, missing)


def _nulls(dtype: pl.DataType) -> pl.Series:
    return pl.Series([None, None], dtype=dtype)


def _encoded(encoder: Encoder, column: pl.Series) -> list[Row]:
    """Encode a column; return its rows."""
    encoded = encoder.encode(column.to_frame())
    if encoded.bags:
        ((tokens, lengths),) = encoded.bags
        starts = np.cumsum(lengths) - lengths
        return [tuple(tokens[a : a + n].tolist()) for a, n in zip(starts, lengths, strict=True)]
    matrix = encoded.codes if encoded.codes.shape[1] else encoded.numbers
    return [None if value != value else value for value in matrix[:, 0].tolist()]


def _flat(rows: Sequence[Row]) -> list[float]:
    """Return all codes of rows, or all numbers that are not missing."""
    return [v for row in rows for v in (row if isinstance(row, tuple) else (row,)) if v is not None]


def _layout(case: EncoderCase) -> None:
    layout, field = case.encoder.layout(), case.layout_field
    if not field.coded:
        require(field.rows == 0, "a real number must have no rows")
        edges = np.asarray(field.edges)
        require(bool((np.diff(edges) > 0).all()), "edges must increase")
        same = edges.astype(np.float32).astype(np.float64) == edges
        require(bool(same.all()), "edges of a real number must be float32 numbers")
        return
    counts = layout.counts.get(field.name)
    require(field.hashed == (counts is None), "codes must be counted unless they are hashes")
    codes = np.asarray(_flat(_encoded(case.encoder, case.seen)), np.int64)
    require(bool((codes < field.rows).all()), "codes must be below the layout's rows")
    if counts is not None and field.kind == "categorical":
        occurring = np.bincount(codes, minlength=field.rows)
        require(occurring.tolist() == counts.tolist(), "counts must be those of the training codes")


def _round_trip(case: EncoderCase) -> None:
    names = case.encoder.fields[case.field.name].names()
    field, rows = case.layout_field, _encoded(case.encoder, case.seen)
    require((names is None) == (field.own_rows == 0), "own codes must have names, and only they")
    if names is not None:
        require(len(names) == field.rows, "each code must have one name")
        require(len(set(names)) == len(names), "names of codes must differ")
    if names is not None and field.kind == "categorical" and case.field.kind == "categorical":
        texts = [(names[int(c)], v) for c, v in zip(_flat(rows), case.seen, strict=True) if c > 2]
        require(all(name == value for name, value in texts), "a code's name must be its value")
    again = _encoded(case.encoder, case.seen)
    require(rows == again, "the same values must have the same codes")
    alike = {str(v): row for v, row in zip(case.seen, rows, strict=True)}
    same = all(alike[str(v)] == row for v, row in zip(case.seen, rows, strict=True))
    require(same, "equal values must have equal codes")


def _unseen(case: EncoderCase) -> None:
    values = _flat(_encoded(case.encoder, case.unseen))
    field = case.layout_field
    if field.coded:
        allowed = all(v == UNSEEN or RESERVED <= v < field.rows for v in values)
        require(allowed, f"an unseen value must have code {UNSEEN} or one of a value; got {values}")
    else:
        require(len(values) == len(case.unseen), "an unseen number must not be missing")
        require(bool(np.isfinite(values).all()), "an unseen number must be finite")


def _missing(case: EncoderCase) -> None:
    field = case.layout_field
    expected: Row = (MISSING,) if field.kind == "multi" else MISSING if field.coded else None
    for column in (case.missing, pl.Series("other", [1, 2])):
        rows = _encoded(case.encoder, column)
        require(rows == [expected] * 2, f"a missing value must be {expected}; got {rows}")


def _no_rows(case: EncoderCase) -> None:
    require(_encoded(case.encoder, case.seen[:0]) == [], "no rows must encode to no rows")
    nothing = Encoder.fit(case.schema, case.counts([case.seen[:0]]))
    rows = _encoded(nothing, case.unseen)
    require(len(rows) == len(case.unseen), "an encoder of no rows must encode")


def _one_row(case: EncoderCase) -> None:
    together = _encoded(case.encoder, case.seen[:40])
    alone = [_encoded(case.encoder, case.seen[i : i + 1])[0] for i in range(40)]
    require(together == alone, "a row must have the same code alone and among others")
    one = Encoder.fit(case.schema, case.counts([case.seen[:1]]))
    require(len(_encoded(one, case.seen)) == ROWS, "an encoder of one row must encode")


def _counts(case: EncoderCase) -> None:
    whole = case.counts([case.seen])
    for size in (1, 7, ROWS // 2):
        parts = [case.seen[start : start + size] for start in range(0, ROWS, size)]
        half = len(parts) // 2
        left, right = case.counts(parts[:half]), case.counts(parts[half:][::-1])
        for counts in (case.counts(parts), left.merge(right), right.merge(left)):
            ours, theirs = whole.of(case.field.name), counts.of(case.field.name)
            same = (ours.missing, ours.rows) == (theirs.missing, theirs.rows)
            if ours.table is not None and theirs.table is not None:
                same = same and ours.table.equals(theirs.table)
            require(same, "counts must be equal for any sharding")
            require(
                Encoder.fit(case.schema, counts) == case.encoder,
                "equal counts must give equal encoders",
            )


def _saved(case: EncoderCase) -> None:
    _check_saved(case, case.encoder)


def _check_saved(case: EncoderCase, encoder: Encoder) -> None:
    with tempfile.TemporaryDirectory() as name:
        first, second = Path(name) / "first", Path(name) / "second"
        encoder.save(first)
        loaded = Encoder.load(first)
        loaded.save(second)
        files = sorted(p.relative_to(first) for p in first.rglob("*") if p.is_file())
        same = all((first / f).read_bytes() == (second / f).read_bytes() for f in files)
        require(same, "an encoder read from its files must save the same bytes")
    require(loaded == encoder, "an encoder read from its files must be equal")
    for column in (case.seen, case.unseen, case.missing):
        same = _encoded(loaded, column) == _encoded(encoder, column)
        require(same, "an encoder read from its files must give the same codes")


def _pruned(case: EncoderCase) -> None:
    field = case.layout_field
    if not field.coded:
        same = prune(case.encoder, {field.name: np.ones(1, bool)}) == case.encoder
        require(same, "pruning must leave a real number as it is")
    if not field.own_rows:
        return
    kept: Mask = np.arange(field.rows) % 2 == 1
    kept[[MISSING, UNSEEN]] = True
    for reserved in ([], [MISSING], [UNSEEN]):
        kept[reserved] = False
        small = prune(case.encoder, {field.name: kept})
        recode = np.full(field.rows, DROPPED)
        recode[kept_codes(kept)] = np.arange(RESERVED + int(kept[RESERVED:].sum()))
        recode[[code for code in (MISSING, UNSEEN) if not kept[code]]] = DROPPED
        before, after = (_flat(_encoded(e, case.seen)) for e in (case.encoder, small))
        expected = recode[np.asarray(before, np.int64)].tolist()
        require(after == expected, "kept codes must move up without gaps, dropped ones become 2")
        names, fewer = case.encoder.values(field.name), small.values(field.name)
        require(fewer == [names[c] for c in kept_codes(kept)], "kept codes must keep their names")
        _check_saved(case, small)
