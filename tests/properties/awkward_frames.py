"""Strategies of hypothesis for tables: every type, awkward names, few rows, odd values."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import polars as pl
from hypothesis import strategies as st

NAMES = (
    *("*", "^x.*$", "prediction", "label", "v", "value", "count", "row", "rank", "score", "name"),
    *("__index__", "logit", "weight", "group", "members", "field", "contribution", "literal"),
    *("a\nb", "\r\n", "a\tb", 'a"b', "a'b", "a,b", "a|b", "a\\b", "[x]", "{x}", "{}", "%s", "$x"),
    *(" ", " a", "a ", ".", "..", "a.b", "a/b", "a:b", "a=b", "=1+1", "#", "-", "--", "0", "1e5"),
    *(
        "A",
        "a",
        "ß",
        "SS",
        "é",
        "e\u0301",
        "名前",
        "😀",
        "\u202eabc",
        "\ufeffbom",
        "\x1b[31m",
        "\x00",
    ),
    *("null", "None", "nan", "NaN", "true", "index", "length", "__proto__", "<script>", "&amp;"),
)
"""Names of columns that some file, library or page gives a meaning of its own."""
TEXTS = (
    *("", " ", "a", "b", "A", "0", "1", "01", "-0", "+1", "1.0", "1.", "-0.0", "3.00", "1e5", ".5"),
    *("true", "TRUE", "False", "null", "NULL", "NaN", "nan", "inf", "-Infinity", "None", "NA", "?"),
    *("2024-01-31", "2024-01-31 12:30", "2024-01-31T12:30:00Z", "2024-02-30", "12:30", "25:61"),
    *("2024-01-31 12:30:00+02:00", "9999-12-31T23:59:59.999999", "0000-00-00 00:00:00"),
    *("a|b", "|", "a||b", "a,b", '"', '""', "'", "a\nb", "a\r\nb", "\r", "\n", "\t", "\\N", "\\"),
    *(
        "é",
        "e\u0301",
        "名",
        "😀",
        "\u202e",
        "\ufeff",
        "\x00",
        "\x1b[0m",
        "\x7f",
        "\u2028",
        "x" * 300,
    ),
    *("1.234,5", "1,234", "1,5", "12345678901234567890123", "9223372036854775808", "=1+1", "<b>"),
)
_ZONES = (None, "UTC", "Europe/Berlin", "America/St_Johns")
_INTEGERS = (
    *(pl.Int8, pl.Int16, pl.Int32, pl.Int64, pl.Int128),
    *(pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.UInt128),
)


def names() -> st.SearchStrategy[str]:
    """Return names of columns; never empty."""
    text = st.text(st.characters(exclude_categories=("Cs", "Co", "Cn")), min_size=1, max_size=6)
    return st.one_of(st.sampled_from(NAMES), text)


def texts() -> st.SearchStrategy[str]:
    """Return texts that csv, numbers and times may be mistaken about."""
    text = st.text(st.characters(exclude_categories=("Cs", "Co", "Cn")), max_size=6)
    return st.one_of(st.sampled_from(TEXTS), text)


@st.composite
def scalar_types(draw: st.DrawFn) -> pl.DataType:
    """Return types that are not nested."""
    kind = draw(st.sampled_from(["integer", "float", "text", "plain", "time", "decimal", "enum"]))
    if kind == "integer":
        return draw(st.sampled_from(_INTEGERS))()
    if kind == "float":
        return draw(st.sampled_from([pl.Float32, pl.Float64]))()
    if kind == "text":
        return draw(st.sampled_from([pl.String(), pl.String(), pl.Categorical()]))
    if kind == "plain":
        return draw(st.sampled_from([pl.Boolean(), pl.Binary(), pl.Null()]))
    if kind == "decimal":
        precision = draw(st.integers(1, 38))
        return pl.Decimal(precision, draw(st.integers(0, min(precision, 9))))
    if kind == "enum":
        return pl.Enum(["a", "b", "1", "true", "é"])
    unit, zone = draw(st.sampled_from(["ms", "us", "ns"])), draw(st.sampled_from(_ZONES))
    return draw(st.sampled_from([pl.Date(), pl.Time(), pl.Duration(unit), pl.Datetime(unit, zone)]))


@st.composite
def types(draw: st.DrawFn) -> pl.DataType:
    """Return types, some of them nested."""
    inner = draw(scalar_types())
    kind = draw(st.sampled_from(["scalar"] * 6 + ["list", "array", "struct", "deep"]))
    if kind == "list":
        return pl.List(inner)
    if kind == "array":
        return pl.Array(inner, draw(st.integers(1, 3)))
    if kind == "struct":
        return pl.Struct({"a": inner, "*": pl.Int64()})
    return pl.List(pl.List(inner)) if kind == "deep" else inner


def values(dtype: pl.DataType) -> st.SearchStrategy[object]:
    """Return values of a type: its ends, and what is written in several ways."""
    if dtype.is_integer():
        low, high = _bounds(dtype)
        edge = [v for v in (low, -1, 0, 1, 2, 3, 2**53 + 1, 2**63 - 1, high) if low <= v <= high]
        return st.sampled_from(edge)
    if dtype.is_float():
        large = 1.7e308 if dtype == pl.Float64() else 3e38
        odd = [0.0, -0.0, 1.0, 3.0, 0.5, 1e-45, large, -large, 2.0**53, 1e30]
        return st.sampled_from([*odd, float("nan"), float("inf"), -float("inf")])
    if dtype.is_decimal():
        assert isinstance(dtype, pl.Decimal)
        most = 10 ** (dtype.precision or 38) - 1
        units = st.sampled_from([0, 1, -1, min(most, 300), most, -most])
        return units.map(lambda u: Decimal(f"{u}e-{dtype.scale}"))  # exact, unlike scaleb
    if isinstance(dtype, pl.Enum):
        return st.sampled_from(dtype.categories.to_list())
    if isinstance(dtype, pl.List):
        return st.lists(st.one_of(st.none(), values(_inner(dtype))), max_size=3)
    if isinstance(dtype, pl.Array):
        return st.lists(values(_inner(dtype)), min_size=dtype.size, max_size=dtype.size)
    if isinstance(dtype, pl.Struct):
        return st.fixed_dictionaries({f.name: values(_plain(f.dtype)) for f in dtype.fields})
    return _SIMPLE[type(dtype)]


_MOMENTS = (
    *(dt.datetime(2024, 1, 31), dt.datetime(2024, 1, 31, 12, 30), dt.datetime(1970, 1, 1)),
    *(dt.datetime(1969, 12, 31, 23, 59, 59, 999000), dt.datetime(2100, 2, 28, 1, 1, 1)),
)
_SIMPLE: dict[type[pl.DataType], st.SearchStrategy[object]] = {
    pl.String: texts(),
    pl.Categorical: texts(),
    pl.Boolean: st.booleans(),
    pl.Binary: st.sampled_from([b"", b"a", b"\x00\xff"]),
    pl.Null: st.none(),
    pl.Date: st.sampled_from([*(m.date() for m in _MOMENTS), dt.date(1, 1, 1)]),
    pl.Time: st.sampled_from([dt.time(0), dt.time(12, 30), dt.time(23, 59, 59, 999999)]),
    pl.Duration: st.sampled_from([dt.timedelta(0), dt.timedelta(days=-1, milliseconds=1)]),
    pl.Datetime: st.sampled_from(_MOMENTS),
}


def _bounds(dtype: pl.DataType) -> tuple[int, int]:
    name = str(dtype)
    bits = int(name.lstrip("UInt"))
    return (0, 2**bits - 1) if name[0] == "U" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def _inner(dtype: pl.List | pl.Array) -> pl.DataType:
    return _plain(dtype.inner)


def _plain(dtype: object) -> pl.DataType:
    return dtype() if isinstance(dtype, type) else dtype


@st.composite
def columns(draw: st.DrawFn, rows: int, dtypes: st.SearchStrategy[pl.DataType] | None = None):
    """Return series of ``rows`` values, which repeat; one in three has nulls."""
    dtype = draw(types() if dtypes is None else dtypes)
    pool = draw(st.lists(values(dtype), min_size=1, max_size=4))
    pool += [None] * draw(st.sampled_from([0, 0, 1]))
    first = draw(st.lists(st.sampled_from(pool), min_size=min(rows, 6), max_size=min(rows, 6)))
    taken = [first[i % len(first)] for i in range(rows)]
    return series(taken, dtype)


def series(taken: list[object], dtype: pl.DataType) -> pl.Series:
    """Return a series of values; those of a zone are taken as UTC."""
    if isinstance(dtype, pl.Datetime) and dtype.time_zone is not None:
        plain = pl.Series(taken, dtype=pl.Datetime(dtype.time_unit))
        return plain.dt.replace_time_zone("UTC").dt.convert_time_zone(dtype.time_zone)
    return pl.Series(taken, dtype=dtype)


@st.composite
def frames(draw: st.DrawFn, rows: st.SearchStrategy[int], most: int = 4) -> pl.DataFrame:
    """Return frames of up to ``most`` columns with awkward names."""
    height = draw(rows)
    chosen = draw(st.lists(names(), min_size=1, max_size=most, unique=True))
    return pl.DataFrame([draw(columns(height)).alias(name) for name in chosen])
