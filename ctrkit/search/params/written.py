"""``search.space`` as written by the user: tables of bounds, choices and conditions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

from ctrkit.errors import ConfigError, nearest
from ctrkit.search.params.dimension import Dimension

ENTRIES = ("low", "high", "log", "step", "choices", "when")


def read_space(space: Mapping[str, Any]) -> dict[str, Dimension | None]:
    """Read ``search.space``: key -> dimension; None where the key must not be searched.

    Raises:
        ConfigError: An entry is malformed.
    """
    return {key: _read(key, value) for key, value in _flat(space)}


def _flat(space: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield ``section.key`` and its entry, however the tables are nested."""
    for key, value in space.items():
        where = f"{prefix}{key}"
        if isinstance(value, Mapping) and not set(value) & set(ENTRIES):
            yield from _flat(value, f"{where}.")
        else:
            yield where, value


def _read(key: str, value: Any) -> Dimension | None:
    if value is False:
        return None
    if isinstance(value, list | tuple):
        value = {"choices": value}
    if not isinstance(value, Mapping):
        raise ConfigError(
            f"search.space.{key} must be a list of choices, {{low = ..., high = ...}} or false; "
            f"got {value!r}"
        )
    for name in value:
        if name not in ENTRIES:
            raise ConfigError(
                f"search.space.{key}: unknown {name!r}{nearest(name, ENTRIES)} "
                f"(known: {', '.join(ENTRIES)})"
            )
    conditions = value.get("when", {})
    if not isinstance(conditions, Mapping):
        raise ConfigError(
            f"search.space.{key}: when must be a table of keys and values; got {conditions!r}"
        )
    when = tuple(
        (k, tuple(v) if isinstance(v, list | tuple) else (v,)) for k, v in _flat(conditions)
    )
    if "choices" in value:
        choices = tuple(tuple(c) if isinstance(c, list) else c for c in value["choices"])
        if not choices:
            raise ConfigError(f"search.space.{key} must name at least one choice")
        return Dimension(key, "choice", choices=choices, when=when)
    return replace(_numbers(key, value), when=when)


def _numbers(key: str, value: Mapping[str, Any]) -> Dimension:
    """Read a range of numbers: of integers if every number in the entry is one."""
    ends = [value.get("low"), value.get("high")]
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in ends):
        raise ConfigError(f"search.space.{key}: low and high must be numbers; got {ends!r}")
    low, high = cast("list[float]", ends)
    log, step = bool(value.get("log", False)), value.get("step")
    if not math.isfinite(low) or not math.isfinite(high) or low > high:
        raise ConfigError(f"search.space.{key}: low must be at most high; got {low} and {high}")
    if log and (low <= 0 or step is not None):
        raise ConfigError(f"search.space.{key}: log = true requires low above 0 and no step")
    if step is not None and (
        isinstance(step, bool) or not isinstance(step, int | float) or not 0 < step < math.inf
    ):
        raise ConfigError(f"search.space.{key}: step must be a number above 0; got {step!r}")
    whole = all(isinstance(v, int) for v in (low, high, *([] if step is None else [step])))
    return Dimension(key, "int" if whole else "float", low, high, log, step)
