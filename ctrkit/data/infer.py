"""A schema from a look at the data, and the flags that correct it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from ctrkit.data.read.sources import Source
from ctrkit.errors import DataError, SchemaError, nearest
from ctrkit.schema import Field, FieldKind, Schema

_NUMBER = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$"
_FRACTION = r"[.eE]"
_DATE = r"^\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}"
MANY = 1000
_FIRST = 1000


@dataclass(frozen=True)
class Overrides:
    """What a user says about columns; see ``ctrkit train --help``.

    A column of ``weight`` or ``time`` is no feature unless named by a kind as well; ``group`` and
    ``key`` stay features (a user id may be both).
    """

    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    multi: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    label: str | None = None
    time: str | None = None
    group: str | None = None
    weight: str | None = None
    key: str | None = None

    def kinds(self) -> dict[str, FieldKind]:
        """Return column -> declared kind.

        Raises:
            SchemaError: A column is declared twice.
        """
        found: dict[str, FieldKind] = {}
        named: tuple[tuple[FieldKind, tuple[str, ...]], ...] = (
            ("numeric", self.numeric),
            ("categorical", self.categorical),
            ("multi", self.multi),
        )
        for kind, names in named:
            for name in names:
                if found.get(name, kind) != kind or name in self.ignore:
                    raise SchemaError(f"column {name!r} is named by two of the column flags")
                found[name] = kind
        return found

    def roles(self) -> dict[str, Any]:
        """Return role -> column for the declared roles."""
        roles = ("label", "time", "group", "weight", "key")
        return {r: getattr(self, r) for r in roles if getattr(self, r) is not None}

    def check(self, columns: Iterable[str]) -> None:
        """Refuse unknown columns.

        Raises:
            SchemaError: Names the nearest column, and all of them.
        """
        known = list(columns)
        for flag, name in [
            *((f"--{role}", c) for role, c in self.roles().items()),
            *((f"--{kind}", c) for c, kind in self.kinds().items()),
            *(("--ignore", c) for c in self.ignore),
        ]:
            if name not in known:
                listed = ", ".join(known[:40]) + (", ..." if len(known) > 40 else "")
                hint = nearest(name, known)
                raise SchemaError(f"{flag}: no column {name!r}{hint}; columns: {listed}")


def infer_schema(
    source: Source, overrides: Overrides, rows: int = 100_000
) -> tuple[Schema, list[str]]:
    """Tell each column's kind from its type and a sample of values.

    Args:
        source: The rows.
        overrides: Rules over what is inferred.
        rows: Size of the sample, shared by up to eight files.

    Returns:
        The schema, and warnings of one line each.

    Raises:
        SchemaError: A flag names an unknown column, or no field remains.
        DataError: The data has no rows.
    """
    overrides.check(source.columns)
    sample = _sample(source, rows)
    kinds = overrides.kinds()
    roles = overrides.roles()
    skipped = {*overrides.ignore, roles.get("label"), roles.get("weight"), roles.get("time")}
    fields: list[Field] = []
    warnings: list[str] = []
    told = _kinds(sample.drop(n for n in sample.columns if n in kinds or n in skipped))
    for column in sample.get_columns():
        if column.name not in kinds and column.name in skipped:
            continue
        kind = kinds.get(column.name) or told[column.name]
        if kind is None:
            warnings.append(
                f"column {column.name!r} holds {column.dtype} and is left out; dates can be "
                f"the time of a split: --time {column.name}"
            )
            continue
        fields.append(Field(column.name, kind))
        warnings += _warnings(column, kind, column.name in kinds)
    if not fields:
        raise SchemaError("no column is left as a feature: name some by --categorical, --numeric")
    return Schema(tuple(fields), **roles), warnings


def _sample(source: Source, rows: int) -> pl.DataFrame:
    """Take the first rows of up to eight files, evenly chosen."""
    count = len(source.files)
    chosen = sorted({i * count // min(count, 8) for i in range(min(count, 8))})
    share = max(1, rows // len(chosen))
    frames = []
    for ordinal in chosen:
        chunk = next(source.file_chunks(ordinal, None, share), None)
        if chunk is not None:
            frames.append(chunk.frame)
    sample = pl.concat(frames) if frames else pl.DataFrame()
    if sample.height == 0:
        raise DataError("the data has no rows")
    return sample


def _kinds(sample: pl.DataFrame) -> dict[str, FieldKind | None]:
    """Return the kind that each column's type and values tell; None: no feature."""
    texts = [c for c in sample.get_columns() if c.dtype == pl.String and c.null_count() < c.len()]
    first = [c.drop_nulls().head(_FIRST) for c in texts]  # the first ones tell most columns apart
    dates, numbers = (_all_like(first, pattern) for pattern in (_DATE, _NUMBER))
    found: dict[str, FieldKind | None] = {}
    for c in texts:
        date = c.name in dates and bool(_all_like([c], _DATE))
        number = not date and c.name in numbers and bool(_all_like([c], _NUMBER))
        fraction = number and c.str.contains(_FRACTION).any()
        found[c.name] = None if date else "numeric" if fraction else "categorical"
    return {
        c.name: found[c.name] if c.name in found else _kind(c.dtype) for c in sample.get_columns()
    }


def _kind(dtype: pl.DataType) -> FieldKind | None:
    """Return the kind that a type alone tells."""
    if dtype.is_float() or dtype.is_decimal():
        return "numeric"
    if isinstance(dtype, pl.List | pl.Array):
        return "multi"
    plain = dtype in (pl.String, pl.Boolean, pl.Date, pl.Categorical, pl.Enum, pl.Null)
    return "categorical" if plain or dtype.is_integer() else None


def _all_like(columns: Sequence[pl.Series], pattern: str) -> set[str]:
    """Return the names of the columns whose texts all match; in one query, for there are many."""
    if not columns:
        return set()
    frames = [c.to_frame().lazy().select(pl.all().str.contains(pattern).all()) for c in columns]
    return {f.columns[0] for f in pl.collect_all(frames) if f.item()}


def _warnings(column: pl.Series, kind: FieldKind, declared: bool) -> list[str]:
    name, known = column.name, column.len() - column.null_count()
    if known == 0:
        return [f"column {name!r} is empty in the sample; leave it out: --ignore {name}"]
    if kind == "multi":
        return []
    distinct = column.n_unique() - (column.null_count() > 0)
    if distinct == 1:
        return [f"column {name!r} has one value in the sample; leave it out: --ignore {name}"]
    if kind != "categorical" or declared or distinct <= MANY:
        return []
    if distinct > 0.9 * known:
        return [
            f"column {name!r} is nearly unique ({distinct} values in {known} rows) and looks like "
            f"a row id: --ignore {name}"
        ]
    if column.dtype.is_integer() and distinct > 0.1 * known:
        return [
            f"column {name!r} has {distinct} distinct integers in {known} rows; if it measures "
            f"something: --numeric {name}"
        ]
    return []


def apply_overrides(schema: Schema, overrides: Overrides, columns: Sequence[str]) -> Schema:
    """Put the flags over a given schema.

    Args:
        schema: The given schema.
        overrides: Kinds replace a field (its other settings return to the defaults) or add one;
            ignored fields go, with the crosses they are members of.
        columns: Columns of the data.

    Raises:
        SchemaError: A flag names an unknown column, or no field remains.
    """
    overrides.check(columns)
    kinds, roles = overrides.kinds(), overrides.roles()
    dropped = {*overrides.ignore, *(roles.get(r) for r in ("label", "weight", "time"))}
    dropped -= set(kinds)
    kept = schema.select([n for n in schema.names if n not in dropped])
    fields = [
        Field(f.name, kinds[f.name]) if kinds.get(f.name, f.kind) != f.kind else f
        for f in kept.fields
    ]
    fields += [Field(n, kind) for n, kind in kinds.items() if n not in schema.names]
    if not fields:
        raise SchemaError("no column is left as a feature: name some by --categorical, --numeric")
    return replace(kept, fields=tuple(fields), **roles)
