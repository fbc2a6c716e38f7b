"""From a verb's options to rows and their meaning: configuration, source, schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypedDict

from ctrkit.config import DataConfig, RunConfig, load_config
from ctrkit.data.infer import Overrides, apply_overrides, infer_schema
from ctrkit.data.sources import ReadOptions, Source, open_source
from ctrkit.errors import ConfigError, SchemaError, nearest
from ctrkit.registry import load_plugin
from ctrkit.schema import Schema

PathLike = str | Path


class DataOptions(TypedDict, total=False):
    """Options that every verb with raw DATA shares; the command line has the same names."""

    schema: PathLike
    numeric: Sequence[str]
    categorical: Sequence[str]
    multi: Sequence[str]
    ignore: Sequence[str]
    label: str
    time: str
    group: str
    weight: str
    key: str
    columns: Sequence[str]
    no_header: bool
    set: Sequence[str]


def job_config(
    data: PathLike | None,
    options: DataOptions,
    *,
    config: PathLike | None = None,
    model: str | None = None,
    seed: int | None = None,
    plugins: Sequence[PathLike] = (),
) -> RunConfig:
    """Resolve a configuration file, the flags and ``--set`` into one configuration.

    Raises:
        ConfigError: An option, key or value is unknown or out of bounds.
    """
    known = list(DataOptions.__annotations__)
    for name in options:
        if name not in known:
            raise ConfigError(f"unknown option {name!r}{nearest(name, known)}")
    for plugin in plugins:
        load_plugin(Path(plugin))
    flags: dict[str, Any] = {
        "data.path": None if data is None else _absolute(data),
        "data.schema": _absolute(options["schema"]) if "schema" in options else None,
        "data.header": False if options.get("no_header") else None,
        "model.name": model,
        "train.seed": seed,
        "plugins": [_absolute(p) for p in plugins] or None,
    }
    path = None if config is None else Path(config)
    return load_config(path, overrides=tuple(options.get("set", ())), flags=flags)


def open_job(
    config: RunConfig, options: DataOptions, *, hold: bool = False, rows: int = 100_000
) -> tuple[Source, Schema, list[str]]:
    """Open the rows and settle what they mean; return source, schema and warnings.

    Args:
        config: The job.
        options: Its flags.
        hold: Parse small text files once and keep them in memory.
        rows: Of the sample that a schema is inferred from.

    The schema is the one named, else the one in the data's folder, else inferred; then the
    flags are applied.
    """
    if config.data.path is None:
        raise ConfigError("no data: name a file, glob, directory or URL, or set data.path")
    found = config.data.schema_path or schema_beside(config.data.path)
    schema = Schema.load(Path(found)) if found else None
    names = options.get("columns") or (schema.columns if schema else None)
    source = open_source(config.data.path, read_options(config.data, names))
    source = source.hold() if hold else source
    overrides = Overrides(
        numeric=tuple(options.get("numeric", ())),
        categorical=tuple(options.get("categorical", ())),
        multi=tuple(options.get("multi", ())),
        ignore=tuple(options.get("ignore", ())),
        label=options.get("label"),
        time=options.get("time"),
        group=options.get("group"),
        weight=options.get("weight"),
        key=options.get("key"),
    )
    if schema is None:
        schema, warnings = infer_schema(source, overrides, rows)
    else:
        schema, warnings = apply_overrides(schema, overrides, list(source.columns)), []
    if names:
        schema = replace(schema, columns=tuple(names))
    check_columns(source, schema)
    return source, schema, warnings


def schema_beside(data: str) -> Path | None:
    """Return the ``schema.toml`` of a data set's folder, where there is one."""
    path = Path(data)
    found = (path if path.is_dir() else path.parent) / "schema.toml"
    return found if "://" not in data and found.is_file() else None


def read_options(config: DataConfig, columns: Sequence[str] | None) -> ReadOptions:
    """Return how text files are to be read."""
    return ReadOptions(
        text_encoding=config.text_encoding,
        separator=config.separator,
        header=config.header,
        columns=tuple(columns) if columns else None,
    )


def check_columns(source: Source, schema: Schema) -> None:
    """Refuse a schema that names columns which the data lacks."""
    for column in schema.required_columns():
        if column not in source.columns:
            role = next((r for r, c in schema.role_columns().items() if c == column), "field")
            hint = nearest(column, source.columns)
            raise SchemaError(
                f"the data has no column {column!r} (the schema's {role}){hint}; "
                f"its columns are {', '.join(list(source.columns)[:30])}"
            )


def _absolute(path: PathLike) -> str:
    return str(path) if "://" in str(path) else str(Path(path).absolute())
