"""TOML as text: values in, tables out.

The third-party writer tomli-w would break every list over several lines (``hidden = [400, 400]``
on four), which people then edit; ours keeps a list on one line.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any


def parse_value(text: str) -> object:
    """Return a TOML value; text that is not valid TOML is a string.

    Example:
        >>> parse_value("3e-4"), parse_value("[400, 400]"), parse_value("autoint")
        (0.0003, [400, 400], 'autoint')
    """
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):  # the latter: nested too deeply
        return text


def write_toml(table: Mapping[str, Any]) -> str:
    """Return TOML that reads back equal: plain values of a table first, then the tables in it.

    Args:
        table: Strings, numbers, booleans, lists and tables of them.

    Example:
        >>> print(write_toml({"model": {"name": "dnn", "mlp": {"hidden": [400, 400]}}}), end="")
        [model]
        name = "dnn"
        <BLANKLINE>
        [model.mlp]
        hidden = [400, 400]
    """
    return "\n".join(_lines(table, "")).strip() + "\n"


def _lines(table: Mapping[str, Any], name: str) -> Iterator[str]:
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    if name and (plain or not table):
        yield ""
        yield f"[{name}]"
    for key, value in plain.items():
        yield f"{_key(key)} = {_value(value)}"
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _lines(value, f"{name}.{_key(key)}" if name else _key(key))


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _value(name)


def _value(value: Any) -> str:
    """Return a value; a table within a list is written inline."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    # JSON's strings, numbers and booleans are TOML's too, but for one character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
