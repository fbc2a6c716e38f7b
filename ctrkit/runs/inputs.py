"""From the options of a verb to a configuration, and to rows whose columns are understood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from ctrkit.checksums import warn_if_edited
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
    """Options of every verb that reads raw rows; the command line has the same names."""

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
class TextOptions:
    """Where raw rows are and how text files are read: what a job needs that does not train.

    The attributes are those of :class:`~ctrkit.config.sections.DataConfig`.
    """

    path: str | None
    schema_path: str | None = None
    text_encoding: str = "utf-8"
    separator: str | None = None
    header: bool = True


@dataclass(frozen=True)
class Plugins:
    """Which plug-ins of a job are imported.

    Attributes:
        files: Python files that register components.
        trust: Whether those that the configuration file names are imported, too.
    """

    files: Sequence[PathLike] = ()
    trust: bool = False


@dataclass(frozen=True)
class JobData:
    """The raw rows of a job, opened.

    Attributes:
        source: Where the rows are read from.
        schema: What their columns mean.
        warnings: Warnings of the inference of the schema.
    """

    source: Source
    schema: Schema
    warnings: list[str]


def text_options(data: PathLike, options: DataOptions) -> TextOptions:
    """Return where rows are and how they are read, without the machinery of configurations.

    That machinery is imported only for ``--set``, which takes keys of ``[data]``.

    Raises:
        ConfigError: An option, key or value is unknown or out of bounds.
    """
    _check_options(options)
    if options.get("set"):
        config = job_config(data, options).data
        return TextOptions(
            config.path, config.schema_path, config.text_encoding, config.separator, config.header
        )
    schema = _absolute(options["schema"]) if "schema" in options else None
    return TextOptions(_absolute(data), schema, header=not options.get("no_header"))


def _check_options(options: DataOptions) -> None:
    names = list(DataOptions.__annotations__)
    for name in options:
        if name not in names:
            raise ConfigError(f"unknown option {name!r}{nearest(name, names)}")


def job_config(
    data: PathLike | None,
    options: DataOptions,
    *,
    config: PathLike | None = None,
    model: str | None = None,
    seed: int | None = None,
    plugins: Plugins | None = None,
    more: Mapping[str, object] | None = None,
    kind: type[RunConfig] | None = None,
) -> RunConfig:
    """Resolve a configuration file, arguments and ``--set`` into one configuration.

    Args:
        data: Raw rows; None: those that the file names.
        options: Options of the rows, and ``set``.
        config: A ``run.toml`` or ``config.json``.
        model: A preset, or a registered interaction alone.
        seed: ``train.seed``: the seed of weights, batches and samplers.
        plugins: Plug-ins of the caller, and consent to those of the file.
        more: Further keys, ``section.key`` -> value; None values are left out.
        kind: The type of configuration; None: a training job.

    Raises:
        ConfigError: An option, key or value is unknown or out of bounds.
    """
    from ctrkit.config.files import load_config
    from ctrkit.config.sections import RunConfig

    _check_options(options)
    plugins = plugins or Plugins()
    for plugin in plugins.files:
        load_plugin(Path(plugin))
    flags: dict[str, object] = {
        "data.path": None if data is None else _absolute(data),
        "data.schema": _absolute(options["schema"]) if "schema" in options else None,
        "data.header": False if options.get("no_header") else None,
        "model.name": model,
        "train.seed": seed,
        "plugins": [_absolute(p) for p in plugins.files] or None,
        **(more or {}),
    }
    path = None if config is None else Path(config)
    overrides = tuple(options.get("set", ()))
    return load_config(
        path,
        overrides=overrides,
        flags=flags,
        kind=kind or RunConfig,
        trust_plugins=plugins.trust,
    )


def open_job(
    data: DataConfig | TextOptions,
    options: DataOptions,
    *,
    hold: bool = False,
    rows: int = 100_000,
) -> JobData:
    """Open the rows of a job and settle what their columns mean.

    The schema is the one that is named, else the one in the folder of the data, else inferred;
    the options are applied on top.

    Args:
        data: Where the rows are.
        options: Options that name columns and roles.
        hold: Parse small text files once and keep them in memory.
        rows: Number of rows that a schema is inferred from.

    Raises:
        ConfigError: No data is named.
        SchemaError: The schema names columns that the data lacks.
    """
    if data.path is None:
        raise ConfigError("no data: name a file, glob, directory or URL, or set data.path")
    schema_path = data.schema_path or schema_beside(data.path)
    schema = None
    if schema_path:
        schema = Schema.load(Path(schema_path))
        warn_if_edited(Path(schema_path))
    names = options.get("columns") or (schema.columns if schema else None)
    source = open_source(data.path, read_options(data, names))
    source = source.hold() if hold else source
    overrides = _overrides(options)
    if schema is None:
        schema, warnings = infer_schema(source, overrides, rows)
    else:
        schema, warnings = apply_overrides(schema, overrides, list(source.columns)), []
    if names:
        schema = replace(schema, columns=tuple(names))
    check_columns(source, schema)
    return JobData(source, schema, warnings)


def _overrides(options: DataOptions) -> Overrides:
    return Overrides(
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


def schema_beside(data: str) -> Path | None:
    """Return the path of the ``schema.toml`` in the folder of the data, if there is one."""
    path = Path(data)
    schema = (path if path.is_dir() else path.parent) / "schema.toml"
    return schema if "://" not in data and schema.is_file() else None


def read_options(data: DataConfig | TextOptions, columns: Sequence[str] | None) -> ReadOptions:
    """Return how text files are read."""
    return ReadOptions(
        text_encoding=data.text_encoding,
        separator=data.separator,
        header=data.header,
        columns=tuple(columns) if columns else None,
    )


def check_columns(source: Source, schema: Schema) -> None:
    """Refuse a schema that names columns which the data lacks.

    Raises:
        SchemaError: A column is missing; the message names the nearest one.
    """
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
