"""From a verb's options to rows and their meaning: configuration, source, schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from ctrkit.data.infer import Overrides, apply_overrides, infer_schema
from ctrkit.data.read.options import ReadOptions
from ctrkit.data.read.sources import Source, open_source
from ctrkit.errors import ConfigError, SchemaError, nearest
from ctrkit.registry import load_plugin
from ctrkit.schema import Schema

if TYPE_CHECKING:
    from ctrkit.config.sections import DataConfig, RunConfig
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


@dataclass(frozen=True)
class Place:
    """Where raw rows are and how their text is read: all that a look at data needs of ``[data]``.

    The attributes are those of :class:`~ctrkit.config.sections.DataConfig`.
    """

    path: str | None
    schema_path: str | None = None
    text_encoding: str = "utf-8"
    separator: str | None = None
    header: bool = True


def place_of(data: PathLike, options: DataOptions) -> Place:
    """Resolve where rows are; the machinery of configurations is loaded for ``--set`` only.

    Raises:
        ConfigError: An option, key or value is unknown or out of bounds.
    """
    _check_options(options)
    if options.get("set"):
        found = job_config(data, options).data
        return Place(
            found.path, found.schema_path, found.text_encoding, found.separator, found.header
        )
    schema = _absolute(options["schema"]) if "schema" in options else None
    return Place(_absolute(data), schema, header=not options.get("no_header"))


def _check_options(options: DataOptions) -> None:
    known = list(DataOptions.__annotations__)
    for name in options:
        if name not in known:
            raise ConfigError(f"unknown option {name!r}{nearest(name, known)}")


def job_config(
    data: PathLike | None,
    options: DataOptions,
    *,
    config: PathLike | None = None,
    model: str | None = None,
    seed: int | None = None,
    plugins: Sequence[PathLike] = (),
    more: Mapping[str, Any] | None = None,
    kind: type[RunConfig] | None = None,
) -> RunConfig:
    """Resolve a configuration file, the flags and ``--set`` into one configuration.

    Raises:
        ConfigError: An option, key or value is unknown or out of bounds.
    """
    from ctrkit.config.files import load_config
    from ctrkit.config.sections import RunConfig

    _check_options(options)
    for plugin in plugins:
        load_plugin(Path(plugin))
    flags: dict[str, Any] = {
        "data.path": None if data is None else _absolute(data),
        "data.schema": _absolute(options["schema"]) if "schema" in options else None,
        "data.header": False if options.get("no_header") else None,
        "model.name": model,
        "train.seed": seed,
        "plugins": [_absolute(p) for p in plugins] or None,
        **(more or {}),
    }
    path = None if config is None else Path(config)
    overrides = tuple(options.get("set", ()))
    return load_config(path, overrides=overrides, flags=flags, kind=kind or RunConfig)


def open_job(
    data: DataConfig | Place, options: DataOptions, *, hold: bool = False, rows: int = 100_000
) -> tuple[Source, Schema, list[str]]:
    """Open the rows and settle what they mean; return source, schema and warnings.

    Args:
        data: Where the rows are.
        options: Its flags.
        hold: Parse small text files once and keep them in memory.
        rows: Of the sample that a schema is inferred from.

    The schema is the one named, else the one in the data's folder, else inferred; then the
    flags are applied.
    """
    if data.path is None:
        raise ConfigError("no data: name a file, glob, directory or URL, or set data.path")
    found = data.schema_path or schema_beside(data.path)
    schema = Schema.load(Path(found)) if found else None
    names = options.get("columns") or (schema.columns if schema else None)
    source = open_source(data.path, read_options(data, names))
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


def read_options(data: DataConfig | Place, columns: Sequence[str] | None) -> ReadOptions:
    """Return how text files are to be read."""
    return ReadOptions(
        text_encoding=data.text_encoding,
        separator=data.separator,
        header=data.header,
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
