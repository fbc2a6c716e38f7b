"""Configuration files: TOML and JSON in, TOML out; flags and ``--set`` on top."""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from ctrkit.config.messages import explain
from ctrkit.config.sections import RunConfig
from ctrkit.errors import ConfigError
from ctrkit.registry import load_entry_points, load_plugin

C = TypeVar("C", bound=RunConfig)


def load_config(
    path: Path | None = None,
    *,
    overrides: Sequence[str] = (),
    flags: Mapping[str, object] | None = None,
    kind: type[C] = RunConfig,  # type: ignore[assignment]
) -> C:
    """Read ``run.toml`` (or a ``config.json``), apply flags, then ``--set``; import plug-ins.

    Args:
        path: The file; paths in its ``[data]`` and ``[train]`` are relative to it.
        overrides: Texts ``section.key=value``; the value is TOML, else taken as a string.
        flags: ``section.key`` -> value; None values are left out.
        kind: Of job.

    Raises:
        ConfigError: The file is missing or invalid, or a key or value is.
    """
    data = _read(path) if path is not None else {}
    for key, value in (flags or {}).items():
        if value is not None:
            _assign(data, key, value)
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set takes section.key=value; got {text!r}")
        _assign(data, key.strip(), parse_value(value.strip()))
    _read_pairs(data)
    # Plug-ins come before validation: their tables below [model] are known only then.
    load_entry_points()
    for plugin in data.get("plugins", []):
        load_plugin(Path(plugin))
    return make_config(data, kind)


def make_config(
    data: Mapping[str, Any],
    kind: type[C] = RunConfig,  # type: ignore[assignment]
) -> C:
    """Validate a nested mapping.

    Raises:
        ConfigError: One line about the first fault.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise ConfigError(explain(error, kind)) from None


def to_toml(config: RunConfig, *, pairs_file: str | None = None) -> str:
    """Write a configuration as TOML, without what is left at its default.

    Args:
        config: What to write.
        pairs_file: A ``pairs.json`` to be named in place of ``model.operations``.
    """
    data = config.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude_none=True)
    model = data.setdefault("model", {})
    model.update({name: table for name, table in model.pop("parameters", {}).items() if table})
    if pairs_file is not None:
        model.pop("operations", None)
        model["pairs"] = {"file": pairs_file, **model.get("pairs", {})}
    lines: list[str] = []
    _write_table(data, "", lines)
    return "\n".join(lines).strip() + "\n"


def _write_table(table: Mapping[str, Any], name: str, lines: list[str]) -> None:
    plain = {k: v for k, v in table.items() if not isinstance(v, dict)}
    if name and (plain or not table):
        lines += ["", f"[{name}]"]
    lines += [f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in plain.items()]
    for key, inner in table.items():
        if isinstance(inner, dict):
            bare = key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key)
            _write_table(inner, f"{name}.{bare}" if name else bare, lines)


def parse_value(text: str) -> object:
    """Read a TOML value; what is none is a string.

    Example:
        >>> parse_value("3e-4"), parse_value("[400, 400]"), parse_value("autoint")
        (0.0003, [400, 400], 'autoint')
    """
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ConfigError(f"no configuration file {str(path)!r}")
    text = path.read_text(encoding="utf-8")
    try:
        data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (tomllib.TOMLDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise ConfigError(f"{path} is a table of sections")
    model = data.get("model")
    if isinstance(model, dict) and isinstance(model.get("pairs"), str):
        model["pairs"] = {"file": model["pairs"]}
    for section, key in (
        ("data", "path"),
        ("data", "schema"),
        ("data", "encoder"),
        ("train", "init"),
        ("model.pairs", "file"),
        ("search", "pairs"),
    ):
        table: Any = data
        for name in section.split("."):
            table = table.get(name) if isinstance(table, dict) else None
        value = table.get(key) if isinstance(table, dict) else None
        if isinstance(value, str) and "://" not in value and value != "random":
            table[key] = str(path.absolute().parent / value)
    if isinstance(data.get("plugins"), list):
        data["plugins"] = [str(path.absolute().parent / str(p)) for p in data["plugins"]]
    return data


def _read_pairs(data: dict[str, Any]) -> None:
    """Put the operations of the file that ``model.pairs`` names into the configuration."""
    model = data.get("model")
    table = model.get("pairs") if isinstance(model, dict) else None
    if isinstance(table, str):
        table = {"file": table}
    if not isinstance(model, dict) or not isinstance(table, dict) or "file" not in table:
        return
    path, rest = Path(str(table["file"])), {k: v for k, v in table.items() if k != "file"}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        operations = found["pairs"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"model.pairs: {str(path)!r} is no pairs.json: {error}") from None
    if found.get("format") != 1:
        raise ConfigError(f"{str(path)!r} has format {found.get('format')!r}; known is 1")
    model["operations"] = operations
    model.pop("pairs")
    if rest:
        model["pairs"] = rest


def _assign(data: dict[str, Any], key: str, value: object) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{key}: a number is finite; got {value!r}")
    *path, last = key.split(".")
    for part in path:
        inner = data.setdefault(part, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {key}: {part!r} is a value, not a table")
        data = inner
    data[last] = value
