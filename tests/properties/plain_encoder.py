"""An encoder in plain Python, value by value, as the documentation states it."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

import polars as pl

MISSING, UNSEEN, FIRST = 0, 1, 3
_WHOLE = re.compile(r"(?:\+|(-))?(0|[1-9][0-9]*)\.0*", re.ASCII)
_TIME = re.compile(r"([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?", re.ASCII)
_DATETIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2})(?::([0-9]{2}(?:\.[0-9]+)?))?"
    r"(?:(Z| UTC)| ?([+-][0-9]{2})(?::?([0-9]{2}))?)?",
    re.ASCII,
)
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_WORDS = re.compile(r"[-+]?(nan|inf|infinity)", re.IGNORECASE)
_EPOCH = dt.datetime(1970, 1, 1)


class RefusedError(Exception):
    """The value is not of the field's kind."""


def is_category(dtype: pl.DataType) -> bool:
    """Return whether values of a type have a text."""
    return not dtype.is_nested() and dtype not in (pl.Binary, pl.Duration)


def is_number(dtype: pl.DataType) -> bool:
    """Return whether values of a type are numbers."""
    return not dtype.is_nested() and dtype != pl.Binary


def is_bag(dtype: pl.DataType) -> bool:
    """Return whether values of a type are lists of categories, or texts of them."""
    return is_category(dtype.inner if isinstance(dtype, pl.List | pl.Array) else dtype)


def text(value: object, dtype: pl.DataType) -> str | None:
    """Return the canonical text of a value; None where it is missing."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float):
        if math.isnan(value):
            return None
        if not value.is_integer() or abs(value) >= 2**63:
            raise RefusedError
        return str(int(value))
    if isinstance(value, Decimal):
        if value != value.to_integral_value():
            raise RefusedError
        return str(int(value))
    if isinstance(value, int):
        return str(value)
    if isinstance(value, dt.datetime):
        return _moment(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, dt.time):
        return _time(value)
    if isinstance(value, str):
        return spelled(value)
    raise RefusedError


def _moment(value: dt.datetime) -> str:
    if value.tzinfo is not None:
        value = value.astimezone(dt.UTC).replace(tzinfo=None)
    if value.time() == dt.time(0):
        return value.date().isoformat()
    return value.isoformat(timespec="microseconds")


def _time(value: dt.time) -> str:
    whole = value.isoformat(timespec="microseconds")
    return whole.rstrip("0").rstrip(".") if value.microsecond else whole[:8]


def spelled(value: str) -> str:
    """Return the canonical text of the value that a text spells."""
    if value.lower() in ("true", "false"):
        return "1" if value.lower() == "true" else "0"
    match = _WHOLE.fullmatch(value)
    if match:
        return "0" if match[2] == "0" else f"{match[1] or ''}{match[2]}"
    for pattern, read in ((_TIME, _read_time), (_DATETIME, _read_moment)):
        match = pattern.fullmatch(value)
        if match:
            try:
                return read(match)
            except (ValueError, OverflowError):
                return value
    return value


def _read_time(match: re.Match[str]) -> str:
    fraction = int((match[4] or "0").ljust(6, "0")[:6])
    return _time(dt.time(int(match[1]), int(match[2]), int(match[3] or 0), fraction))


def _read_moment(match: re.Match[str]) -> str:
    seconds, _, fraction = (match[3] or "0").partition(".")
    value = dt.datetime.fromisoformat(f"{match[1]} {match[2]}") + dt.timedelta(
        seconds=int(seconds), microseconds=int(fraction.ljust(6, "0")[:6] or 0)
    )
    if int(seconds) > 59:
        raise ValueError
    if match[5]:
        minutes = int(match[5][1:]) * 60 + int(match[6] or 0)
        value += dt.timedelta(minutes=minutes if match[5][0] == "-" else -minutes)
    return _moment(value)


def number(value: object, dtype: pl.DataType) -> float:
    """Return a value as a number; nan where it is missing."""
    if value is None:
        return math.nan
    if isinstance(value, str):
        value = value.strip()
        if value.lower() in ("true", "false"):
            return float(value.lower() == "true")
        if not value or _WORDS.fullmatch(value):
            return math.nan
        if not _NUMBER.fullmatch(value):
            raise RefusedError
        return finite(float(value))
    if isinstance(value, bool | int | float | Decimal):
        return finite(float(value))
    if isinstance(value, dt.datetime):
        plain = value.astimezone(dt.UTC).replace(tzinfo=None) if value.tzinfo else value
        return float((plain - _EPOCH) // dt.timedelta(microseconds=1))
    if isinstance(value, dt.date):
        return float((value - _EPOCH.date()).days)
    if isinstance(value, dt.time):
        moment = dt.datetime.combine(_EPOCH, value) - _EPOCH
        return float(moment // dt.timedelta(microseconds=1) * 1000)
    if isinstance(value, dt.timedelta):
        return float(value // dt.timedelta(microseconds=1))
    raise RefusedError


def finite(value: float) -> float:
    """Return a number, which is missing where it is infinite; zero has no sign."""
    return value + 0.0 if math.isfinite(value) else math.nan


def tokens(value: object, dtype: pl.DataType) -> list[str | None] | None:
    """Return the canonical tokens of a list or of a text; None where the list is missing."""
    if value is None:
        return None
    if isinstance(value, list):
        return [text(item, dtype.inner) for item in value]
    if isinstance(value, dict):
        raise RefusedError
    whole = value if isinstance(value, str) else text(value, dtype)
    if whole is None:
        return None
    return [spelled(token) for token in whole.split("|")] if whole else []


def vocabulary(values: Sequence[str | None], min_count: int) -> dict[str, int]:
    """Return value -> code: from 3 by falling count, ties by bytes."""
    counts = Counter(value for value in values if value is not None)
    kept = [value for value, count in counts.items() if count >= min_count]
    kept.sort(key=lambda value: (-counts[value], value.encode()))
    return {value: code for code, value in enumerate(kept, FIRST)}


def code(value: str | None, codes: dict[str, int]) -> int:
    """Return the code of a canonical text."""
    return MISSING if value is None else codes.get(value, UNSEEN)
