"""Configuration files: TOML or JSON in, TOML out; command-line options and ``--set`` on top."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from ctrkit.checksums import warn_if_edited
from ctrkit.config.consent import check_plugins, settle_addresses, take_stores
from ctrkit.config.messages import validation_message
from ctrkit.config.sections import FilePath, RunConfig
from ctrkit.config.toml import parse_value, write_toml
from ctrkit.errors import ConfigError
from ctrkit.files import read_json
from ctrkit.registry import load_entry_points, load_plugin

RENAMED = {"data.seed": "data.split_seed"}
"""Earlier name of a key -> its name."""
C = TypeVar("C", bound=RunConfig)


def load_config(
    path: Path | None = None,
    *,
    overrides: Sequence[str] = (),
    flags: Mapping[str, object] | None = None,
    kind: type[C] = RunConfig,  # type: ignore[assignment]
    trust_plugins: bool = False,
) -> C:
    """Read ``run.toml`` (or a ``config.json``), apply flags, then ``--set``; import plug-ins.

    A file may come from someone else: plug-ins that it names need consent, and the stores that a
    file in the folder of a job names are not used; see :mod:`ctrkit.config.consent`.

    Args:
        path: The file; its relative paths are relative to its folder. None: defaults alone.
        overrides: Texts ``section.key=value``; a value that is not valid TOML is a string.
        flags: ``section.key`` -> value; None values are left out.
        kind: Configuration type of the job.
        trust_plugins: Import the plug-ins that the file names.

    Raises:
        ConfigError: The file is missing or invalid, or a key or value is; or it names plug-ins
            without consent, a store that it may not choose, or an address without its password.
    """
    data = {} if path is None else _read(path, kind)
    stores, named = take_stores(data), data.get("plugins")
    for key, value in (flags or {}).items():
        if value is not None:
            _assign(data, key, value)
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set must be section.key=value; got {text!r}")
        _assign(data, key.strip(), parse_value(value.strip()))
    _read_pairs(data)
    if path is not None:
        settle_addresses(data, stores, path)
    listed = data.get("plugins")
    texts = listed if isinstance(listed, list) else []  # validation refuses what is none
    plugins = [Path(text) for text in texts if isinstance(text, str)]
    if path is not None and listed is named and not trust_plugins:
        check_plugins(plugins, path)
    # Plug-ins are imported before validation: it must know their tables below [model].
    load_entry_points()
    for plugin in plugins:
        load_plugin(plugin)
    return make_config(data, kind)


def make_config(
    data: Mapping[str, Any],
    kind: type[C] = RunConfig,  # type: ignore[assignment]
) -> C:
    """Return the configuration that nested tables describe.

    Raises:
        ConfigError: A key or value is invalid; one line about the first such.
    """
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise ConfigError(validation_message(error, kind)) from None


def to_toml(config: RunConfig, *, pairs_file: str | None = None) -> str:
    """Return a configuration as TOML, without the keys that have their default value.

    Addresses are without their passwords, and stores are left out: a folder does not choose them.

    Args:
        config: The configuration.
        pairs_file: Name of a ``pairs.json`` to refer to, in place of ``model.operations``.
    """
    data = config.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude_none=True)
    take_stores(data)
    model = data.setdefault("model", {})
    model.update({name: table for name, table in model.pop("parameters", {}).items() if table})
    if pairs_file is not None:
        model.pop("operations", None)
        model["pairs"] = {"file": pairs_file, **model.get("pairs", {})}
    return write_toml(data)


def _read(path: Path, kind: type[BaseModel]) -> dict[str, Any]:
    """Return a file's tables, with absolute paths."""
    if not path.is_file():
        raise ConfigError(f"the configuration file {str(path)!r} does not exist")
    warn_if_edited(path)
    try:
        text = path.read_text(encoding="utf-8")
        data = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, json.JSONDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    except RecursionError:
        raise ConfigError(f"{path} cannot be read: it is nested too deeply") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path} must hold a table of sections; got {data!r:.40}")
    folder = path.absolute().parent
    _resolve_paths(data, kind, folder)
    rows = data.get("data")
    if isinstance(rows, dict) and "seed" in rows and "split_seed" not in rows:
        rows["split_seed"] = rows.pop("seed")
    model = data.get("model")
    pairs = model.get("pairs") if isinstance(model, dict) else None
    if isinstance(model, dict) and isinstance(pairs, str):
        model["pairs"] = pairs = {"file": pairs}
    if isinstance(pairs, dict) and isinstance(pairs.get("file"), str):
        pairs["file"] = str(folder / pairs["file"])
    return data


def _resolve_paths(table: dict[str, Any], cls: type[BaseModel], folder: Path) -> None:
    """Make the paths of a table absolute, in place; see :class:`FilePath`."""
    for name, field in cls.model_fields.items():
        for key in {name, field.alias or name} & set(table):
            value, section = table[key], field.annotation
            if isinstance(value, dict):
                if isinstance(section, type) and issubclass(section, BaseModel):
                    _resolve_paths(value, section, folder)
            elif isinstance(value, list):
                table[key] = [_resolved(item, field, folder) for item in value]
            else:
                table[key] = _resolved(value, field, folder)


def _resolved(value: Any, field: FieldInfo, folder: Path) -> Any:
    """Return a field's value, relative to ``folder`` if it is a path."""
    mark = next((m for m in field.metadata if isinstance(m, FilePath)), None)
    return mark.resolve(value, folder) if mark and isinstance(value, str) else value


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
        content = read_json(path)
        warn_if_edited(path)
        operations, version = content["pairs"], content.get("format")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"model.pairs must name a pairs.json; got {str(path)!r}: {error}"
        ) from None
    if version != 1:
        raise ConfigError(f"the format of {str(path)!r} must be 1; got {version!r}")
    model["operations"] = operations
    model.pop("pairs")
    if rest:
        model["pairs"] = rest


def _assign(data: dict[str, Any], key: str, value: object) -> None:
    """Set ``section.key`` in nested tables."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{key} must be a finite number; got {value!r}")
    *sections, last = RENAMED.get(key, key).split(".")
    for name in sections:
        data = data.setdefault(name, {})
        if not isinstance(data, dict):
            raise ConfigError(f"--set {key}: {name!r} must be a table; it is {data!r}")
    data[last] = value
