"""A schema inferred from the types and a sample of the data, and the options that correct it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from ctrkit.data.columns.numbers import COMMA, POINTS
from ctrkit.data.read.sources import Source
from ctrkit.errors import DataError, SchemaError, nearest
from ctrkit.schema import Field, FieldKind, Schema

_NUMBER = r"^\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?\s*$"
_FRACTION = r"[.eE]"
_DATE = r"^\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2}"
_FIRST = 1000  # values that a pattern is tried on before the whole sample
_MOST_FILES = 8  # files that a sample is taken from
_LISTED = 40  # columns that a message lists
_MANY = 1000  # distinct values above which a column may be a row id or a number
_NEARLY_UNIQUE = 0.9  # share of distinct values of a row id, at least
_NEARLY_NUMERIC = 0.1  # share of distinct values of integers that measure something, at least


@dataclass(frozen=True)
class Overrides:
    """What a user declares about columns; see ``ctrkit train --help``.

    The columns of ``label``, ``weight`` and ``time`` are not fields, unless a kind is declared for
    them (never for the label). Those of ``group`` and ``key`` stay fields: a user id may be both.

    Attributes:
        numeric: Columns of numeric fields.
        categorical: Columns of categorical fields.
        multi: Columns of multi-valued fields.
        ignore: Columns that are not fields.
        label: Column of the 0/1 label.
        time: Column of the event time.
        group: Column of the groups of group metrics.
        weight: Column of row weights.
        key: Column whose rows the random split keeps together.
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
        kinds: dict[str, FieldKind] = {}
        declared: tuple[tuple[FieldKind, tuple[str, ...]], ...] = (
            ("numeric", self.numeric),
            ("categorical", self.categorical),
            ("multi", self.multi),
        )
        for kind, names in declared:
            for name in names:
                if kinds.get(name, kind) != kind or name in self.ignore:
                    raise SchemaError(
                        f"column {name!r} must be named by one of --numeric, --categorical, "
                        "--multi, --ignore only; it is named by two"
                    )
                kinds[name] = kind
        return kinds

    def roles(self) -> dict[str, Any]:
        """Return role -> column for the declared roles."""
        columns = {
            "label": self.label,
            "time": self.time,
            "group": self.group,
            "weight": self.weight,
            "key": self.key,
        }
        return {role: column for role, column in columns.items() if column is not None}

    def not_fields(self) -> set[str]:
        """Return the columns that are not fields."""
        roles = {self.label, self.weight, self.time}
        return {*self.ignore, *(c for c in roles if c is not None)} - set(self.kinds())

    def check(self, columns: Iterable[str]) -> None:
        """Refuse unknown columns.

        Args:
            columns: Columns of the data.

        Raises:
            SchemaError: A column is unknown; suggests the nearest, and lists all.
        """
        present = list(columns)
        for option, name in [
            *((f"--{role}", c) for role, c in self.roles().items()),
            *((f"--{kind}", c) for c, kind in self.kinds().items()),
            *(("--ignore", c) for c in self.ignore),
        ]:
            if name not in present:
                more = ", ..." if len(present) > _LISTED else ""
                raise SchemaError(
                    f"{option}: the data has no column {name!r}{nearest(name, present)}; "
                    f"columns: {', '.join(present[:_LISTED])}{more}"
                )


def infer_schema(
    source: Source, overrides: Overrides, rows: int = 100_000
) -> tuple[Schema, list[str]]:
    """Infer each column's kind from its type and a sample of its values.

    Args:
        source: The rows.
        overrides: Declarations that take precedence over what is inferred.
        rows: Size of the sample, taken from up to eight files.

    Returns:
        The schema, and warnings of one line each.

    Raises:
        SchemaError: A column is unknown or declared twice, or no field remains.
        DataError: The data has no rows.
    """
    overrides.check(source.columns)
    declared, skipped = overrides.kinds(), overrides.not_fields()
    columns = [name for name in source.columns if name not in skipped]
    sample = _sample(source, columns or list(source.columns), rows)
    inferred = _infer_kinds(sample[[n for n in sample.columns if n not in {*declared, *skipped}]])
    fields: list[Field] = []
    warnings: list[str] = []
    for column in sample.get_columns():
        if column.name in skipped:
            continue
        kind = declared.get(column.name) or inferred[column.name]
        if kind is None:
            warnings.append(_left_out(column))
            continue
        fields.append(Field(column.name, kind))
        warnings += _warnings(column, kind, declared=column.name in declared)
    return Schema(_some_field(fields), **overrides.roles()), warnings


def apply_overrides(schema: Schema, overrides: Overrides, columns: Sequence[str]) -> Schema:
    """Apply the options to a given schema.

    Args:
        schema: The given schema.
        overrides: A declared kind replaces the field (its other options return to the defaults)
            or adds one; ignored fields go, with the crosses that they are members of.
        columns: Columns of the data.

    Raises:
        SchemaError: A column is unknown or declared twice, or no field remains.
    """
    overrides.check(columns)
    kinds, dropped = overrides.kinds(), overrides.not_fields()
    kept = schema.select([n for n in schema.names if n not in dropped])
    fields = [
        Field(f.name, kinds[f.name]) if kinds.get(f.name, f.kind) != f.kind else f
        for f in kept.fields
    ]
    fields += [Field(n, kind) for n, kind in kinds.items() if n not in schema.names]
    return replace(kept, fields=_some_field(fields), **overrides.roles())


def _some_field(fields: Sequence[Field]) -> tuple[Field, ...]:
    if not fields:
        raise SchemaError(
            "at least one column must be a field; declare some with --categorical or --numeric"
        )
    return tuple(fields)


def _sample(source: Source, columns: list[str], rows: int) -> pl.DataFrame:
    """Take the first rows of up to eight files, evenly chosen."""
    count = len(source.files)
    most = min(count, _MOST_FILES)
    chosen = sorted({i * count // most for i in range(most)})
    share = max(1, rows // len(chosen))
    frames = []
    for ordinal in chosen:
        chunk = next(source.file_chunks(ordinal, columns, share), None)
        if chunk is not None:
            frames.append(chunk.frame)
    sample = pl.concat(frames) if frames else pl.DataFrame()
    if sample.height == 0:
        where = "" if source.in_memory else f"{source.files[0]}: "
        raise DataError(f"{where}the data has no rows")
    return sample


def _infer_kinds(sample: pl.DataFrame) -> dict[str, FieldKind | None]:
    """Return the kind of each column by its type and values; None: it is not a field."""
    texts = [c for c in sample.get_columns() if c.dtype == pl.String and c.null_count() < c.len()]
    # Enough to tell most columns apart. Methods take some names of series for patterns.
    first = [c.alias("v").drop_nulls().head(_FIRST).alias(c.name) for c in texts]
    dates, numbers = (_all_match(first, pattern) for pattern in (_DATE, _NUMBER))
    kinds = {c.name: _kind_of_type(c.dtype) for c in sample.get_columns()}
    for c in texts:
        date = c.name in dates and bool(_all_match([c], _DATE))
        number = not date and c.name in numbers and bool(_all_match([c], _NUMBER))
        fraction = number and c.alias("v").str.contains(_FRACTION).any()
        kinds[c.name] = None if date else "numeric" if fraction else "categorical"
    return kinds


def _kind_of_type(dtype: pl.DataType) -> FieldKind | None:
    if dtype.is_float() or dtype.is_decimal():
        return "numeric"
    if isinstance(dtype, pl.List | pl.Array):
        return "multi"
    plain = dtype in (pl.String, pl.Boolean, pl.Date, pl.Categorical, pl.Enum, pl.Null)
    return "categorical" if plain or dtype.is_integer() else None


def _decimal_comma(column: pl.Series) -> str:
    """Return a number with a comma, if all texts are numbers and some have one; else ''."""
    texts = column.alias("v").drop_nulls()
    if not texts.head(_FIRST).str.contains(f"{COMMA}|{_NUMBER}").all():
        return ""
    commas = texts.filter(texts.str.contains(COMMA))
    return str(commas[0]) if len(commas) and texts.str.contains(f"{COMMA}|{_NUMBER}").all() else ""


def _all_match(columns: Sequence[pl.Series], pattern: str) -> set[str]:
    """Return the names of the columns whose texts all match, in one query for all columns."""
    if not columns:
        return set()
    frames = [c.to_frame().lazy().select(pl.all().str.contains(pattern).all()) for c in columns]
    return {f.columns[0] for f in pl.collect_all(frames) if f.item()}


def _left_out(column: pl.Series) -> str:
    """Return why a column is not a field."""
    name = column.name
    if column.dtype == pl.String or isinstance(column.dtype, pl.Datetime):
        return (
            f"column {name!r} holds dates with a time of day and is left out; use it as the time "
            f"of a split: --time {name}, or declare it: --categorical {name}"
        )
    type_name = str(column.dtype).split("(")[0].lower()
    return f"column {name!r} holds values of type {type_name} and is left out; cast it to use it"


def _warnings(column: pl.Series, kind: FieldKind, *, declared: bool) -> list[str]:
    name, present = column.name, column.len() - column.null_count()
    if present == 0:
        return [f"column {name!r} is empty in the sample; leave it out: --ignore {name}"]
    if kind == "multi":
        return []
    if kind == "categorical" and column.dtype == pl.String and not declared:
        number = _decimal_comma(column)
        if number:
            return [
                f"column {name!r} holds numbers such as {number!r} and is read as text; {POINTS}"
            ]
    distinct = column.n_unique() - (column.null_count() > 0)
    if distinct == 1:
        return [f"column {name!r} has one value in the sample; leave it out: --ignore {name}"]
    if kind != "categorical" or declared or distinct <= _MANY:
        return []
    if distinct > _NEARLY_UNIQUE * present:
        number = f", or if it measures something: --numeric {name}"
        return [
            f"column {name!r} is nearly unique ({distinct} values in {present} rows) and looks "
            f"like a row id; leave it out: --ignore {name}"
            f"{number if column.dtype.is_numeric() else ''}"
        ]
    if column.dtype.is_integer() and distinct > _NEARLY_NUMERIC * present:
        return [
            f"column {name!r} has {distinct} distinct integers in {present} rows; if it measures "
            f"something, declare it: --numeric {name}"
        ]
    return []
