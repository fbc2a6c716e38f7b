"""Canonical text of categories, and the tokens of lists.

A value has one text, whatever the type of its column: a model that was trained on parquet scores
csv, and the other way round. Text is read as the value that it spells:

- a whole decimal is an integer: ``3.0`` and ``3.`` are ``3``, ``-0.0`` is ``0``;
- ``true`` and ``false``, in any case, are ``1`` and ``0``, as a boolean column gives them;
- an ISO 8601 datetime is that instant in UTC (without a zone: it is taken as UTC), in microseconds,
  ``2024-01-31T12:30:00.000000``; at midnight it is the date, ``2024-01-31``;
- a time of day is ``12:30:00``, with a fraction only where it has one;
- everything else stays as it is: ``007``, ``3.5``, ``1e5``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.columns.iso import datetime_text, parse_datetimes, time_text
from ctrkit.errors import CellError, DataError
from ctrkit.schema import Field

_WHOLE = r"^(?:\+|(-))?(0|[1-9][0-9]*)\.0*$"
_TIME = r"^[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?$"
_DATETIME = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]+)?)?"
    r"(?:Z| UTC| ?[+-][0-9]{2}(?::?[0-9]{2})?)?$"
)
_LOWER = np.uint8(0x20)  # the bit of lower case in a letter
_CASE = np.uint64(0x20202020 << 32)
_TRUE, _FALSE = np.frombuffer(b"\4\0\0\0true\5\0\0\0fals", "<u8")  # length, characters
_INLINE = 12  # bytes of a text that Arrow keeps in its view
_NONE = np.zeros(0, np.int64)
_TILE = 16_384  # texts whose arrays stay in the processor's cache


def canonical(values: pl.Series) -> pl.Series:
    """Return values as text, according to the type of their column.

    Integers become decimals, booleans ``0``/``1``, dates and times ISO 8601 (microseconds);
    text is untouched (see :func:`unify`); a null stays null.

    Args:
        values: (n,) of text, categories, integers, booleans, dates, times, or nothing but nulls.

    Returns:
        (n,) text.

    Raises:
        DataError: The type has no canonical text: floats, lists, binary data.
    """
    dtype = values.dtype
    if dtype == pl.String:
        return values
    if dtype == pl.Boolean:
        return values.cast(pl.UInt8).cast(pl.String)
    if isinstance(dtype, pl.Datetime):
        return datetime_text(values)
    if dtype == pl.Time:
        return time_text(values)
    if dtype.is_integer() or dtype in (pl.Date, pl.Categorical, pl.Enum, pl.Null):
        return values.cast(pl.String)
    lists = isinstance(dtype, pl.List | pl.Array)
    raise DataError(
        f"column {values.name!r} must hold text, whole numbers, booleans or dates; got {dtype}: "
        f"declare it {'multi' if lists else 'numeric'}, or cast it"
    )


def raw_text(values: pl.Series) -> pl.Series:
    """Return a categorical column as text; whole floats and decimals are integers.

    Text is left as it is: vocabularies apply :func:`unify` to distinct values only.

    Args:
        values: (n,) of any type with a canonical text, or whole numbers.

    Returns:
        (n,) text, named ``v``; null (and NaN) is missing.

    Raises:
        DataError: A number is not whole, or the type has no canonical text.
    """
    dtype, name = values.dtype, values.name
    if dtype.is_float():
        values = values.alias("v").fill_nan(None)  # polars takes some names for patterns
        whole = values.cast(pl.Int64, strict=False)
        _check_whole(name, values, whole.is_null() | (whole.cast(dtype) != values))
        return whole.cast(pl.String)
    if dtype.is_decimal():
        text = unify(values.cast(pl.String).alias("v"))
        _check_whole(name, values.alias("v"), text.str.contains(".", literal=True))
        return text
    return canonical(values).alias("v")


def _check_whole(name: str, values: pl.Series, not_whole: pl.Series) -> None:
    bad = values.is_not_null() & not_whole
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise CellError(
            f"column {name!r} must hold text or whole numbers; got {values[row]}",
            row,
            "if it is a field, declare it numeric",
        )


def to_text(values: pl.Series) -> pl.Series:
    """Return a categorical column as canonical text.

    Args:
        values: (n,) of any type with a canonical text, or whole numbers.

    Returns:
        (n,) text, one per value whatever the type; null (and NaN) is missing.

    Raises:
        DataError: A number is not whole, or the type has no canonical text.
    """
    return unify(raw_text(values))


def unify(texts: pl.Series) -> pl.Series:
    """Replace each text that spells a number, boolean or time by the canonical text of its value.

    Args:
        texts: (n,) String.

    Returns:
        (n,) String, ``texts`` itself where nothing changes; a null stays null. Applying it twice
        changes nothing more.
    """
    rows, new = respelled(texts)
    if not len(rows):
        return texts
    changed = texts.alias("v").clone().scatter(rows, new)  # a name may look like a pattern
    return changed.alias(texts.name)


def respelled(
    texts: pl.Series, rows: npt.NDArray[np.int64] | None = None
) -> tuple[npt.NDArray[np.int64], pl.Series]:
    """Return the rows whose text is not canonical, and their canonical texts.

    Args:
        texts: (n,) String.
        rows: Rows to look at; None: all.

    Returns:
        Rows (m,), among ``rows``, and (m,) String, see :func:`unify`.
    """
    texts = texts.alias("v")
    rows = _may_change(texts, rows)
    old = texts.gather(rows)
    if not len(rows):
        return rows, old
    text, lower = pl.col("v"), pl.col("v").str.to_lowercase()
    new = (
        old.to_frame()
        .select(
            pl.when(lower == "true")
            .then(pl.lit("1"))
            .when(lower == "false")
            .then(pl.lit("0"))
            .otherwise(text.str.replace(_WHOLE, "${1}${2}"))
        )
        .to_series()
    )
    new = new.scatter(((new == "-0") & (old != "-0")).arg_true(), "0")
    for pattern, read in ((_TIME, _time_texts), (_DATETIME, _datetime_texts)):
        matching = new.str.contains(pattern).arg_true()
        if len(matching):
            new = new.scatter(matching, read(new.gather(matching)))
    changed = (new != old).fill_null(False)
    return rows[changed.to_numpy()], new.filter(changed)


def _time_texts(texts: pl.Series) -> pl.Series:
    times = pl.coalesce(
        *(pl.col("v").str.to_time(f, strict=False) for f in ("%H:%M:%S%.f", "%H:%M"))
    )
    parsed = time_text(texts.alias("v").to_frame().select(times).to_series())
    return parsed.zip_with(parsed.is_not_null(), texts)


def _datetime_texts(texts: pl.Series) -> pl.Series:
    parsed = datetime_text(parse_datetimes(texts))
    return parsed.zip_with(parsed.is_not_null(), texts)


def _may_change(
    texts: pl.Series, rows: npt.NDArray[np.int64] | None = None
) -> npt.NDArray[np.int64]:
    """Return the rows that :func:`respelled` has to look at: few, found at memory speed."""
    if rows is None:
        starts = np.cumsum([0, *texts.chunk_lengths()])
        chunks = zip(starts.tolist(), texts.get_chunks(), strict=False)
        candidates = np.concatenate([start + _to_check(chunk) for start, chunk in chunks])
    else:
        candidates = rows[_to_check(texts.gather(rows).rechunk())]
    if not len(candidates):
        return candidates
    checked = texts.gather(candidates)
    spelled = checked.str.contains("[.:]") | checked.str.contains("(?i)^(?:true|false)$")
    kept: npt.NDArray[np.int64] = candidates[spelled.fill_null(False).to_numpy()]
    return kept


def _to_check(texts: pl.Series) -> npt.NDArray[np.int64]:
    """Return which texts of one chunk may not be canonical.

    Arrow keeps a view of 16 bytes per text: its length in four bytes, then its characters if they
    are at most 12; else the first four of them, and where the others are.
    """
    arrow = texts.to_arrow(compat_level=pl.CompatLevel.newest())
    _, buffer, *long = arrow.buffers()
    views = np.frombuffer(buffer or b"", np.uint8).reshape(-1, 16)
    views = views[arrow.offset : arrow.offset + len(texts)]
    tiles = range(0, len(views), _TILE)
    found = [start + _to_check_tile(views[start : start + _TILE], bool(long)) for start in tiles]
    return np.concatenate(found) if found else _NONE


def _to_check_tile(views: npt.NDArray[np.uint8], long: bool) -> npt.NDArray[np.int64]:
    first = np.ascontiguousarray(views[:, 4])
    letter = first | _LOWER
    check = (letter == ord("t")) | (letter == ord("f"))
    if check.any():
        start = views.view(np.uint64)[:, 0] | _CASE  # length and four characters
        check = (start == _TRUE) | (start == _FALSE)
    characters = views.tobytes()
    marked = b"." in characters or b":" in characters
    if marked or long:
        digits = first - np.uint8(ord("+")) <= ord("9") - ord("+")  # and - among them
        if not marked:
            digits &= views.view(np.uint32)[:, 0] > _INLINE  # their characters are elsewhere
        check |= digits
    return np.flatnonzero(check) if check.any() else _NONE


def to_tokens(values: pl.Series, field: Field) -> pl.Series:
    """Return a multi-valued column as lists of canonical text.

    Args:
        values: (n,) lists, or text that is split at ``field.separator`` (empty text: no token).
        field: A multi-valued field.

    Returns:
        (n,) List(String), named ``v``; a null list is missing, a null token too.
    """
    lists = raw_tokens(values, field)
    lengths, flat = explode(lists)
    texts = unify(flat)
    return lists if texts is flat else _lists_like(lists, texts, lengths)


def raw_tokens(values: pl.Series, field: Field) -> pl.Series:
    """Return a multi-valued column as lists of text, before :func:`unify`.

    See :func:`to_tokens`.
    """
    name, values = values.name, values.alias("v")
    if isinstance(values.dtype, pl.Array):
        values = values.arr.to_list()
    if isinstance(values.dtype, pl.List):
        if values.dtype.inner == pl.String:
            return values
        lengths, flat = explode(values)
        try:
            tokens = raw_text(flat.alias(name))
        except CellError as error:
            row = int(np.searchsorted(np.cumsum(lengths), error.row, side="right"))
            raise error.at(row) from None
        return _lists_like(values, tokens, lengths)
    text = raw_text(values.alias(name))
    lists = text.str.split(field.separator)
    empty = pl.Series([[]], dtype=pl.List(pl.String))
    return lists.zip_with((text != "").fill_null(True), empty)


def _lists_like(lists: pl.Series, texts: pl.Series, lengths: np.ndarray) -> pl.Series:
    """Return lists of texts (T,), null where the given lists (n,) are."""
    new = pl.Series(lists.name, _lists(texts, lengths))
    return new.zip_with(lists.is_not_null(), pl.Series([None], dtype=new.dtype))


def explode(lists: pl.Series) -> tuple[np.ndarray, pl.Series]:
    """Return the length of each list (n,) int64, 0 for null, and all their tokens in order."""
    lengths = lists.list.len().fill_null(0).cast(pl.Int64).to_numpy()
    return lengths, lists.explode(empty_as_null=False, keep_nulls=False)


def _lists(flat: pl.Series, lengths: np.ndarray) -> pl.Series:
    rows = pl.Series("row", np.repeat(np.arange(len(lengths)), lengths))
    grouped = pl.DataFrame({"row": rows, "value": flat}).group_by("row", maintain_order=True).all()
    all_rows = pl.DataFrame({"row": np.arange(len(lengths))})
    return all_rows.join(grouped, on="row", how="left", maintain_order="left")["value"].fill_null(
        pl.Series([[]], dtype=pl.List(pl.String))
    )
