"""What columns mean: fields, roles, crosses and the split.

A schema is a plain file, ``schema.toml``: people edit it, every command reads it.
"""

from __future__ import annotations

import dataclasses
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from ctrkit.components import Kind
from ctrkit.errors import SchemaError, nearest
from ctrkit.files import write_atomic
from ctrkit.registry import registry

FieldKind = Literal["categorical", "numeric", "multi"]
FORMAT = 1
ROLES = ("label", "weight", "group", "time", "key")
ROLE_COLUMNS = ("__label__", "__weight__", "__group__", "__row__")
"""Columns of encoded rows that are no fields; no field may have their names."""
MISSING, UNSEEN, DROPPED, RESERVED = 0, 1, 2, 3
"""Codes of every field: missing, unseen or rare, dropped by a selection; values start at 3."""


@dataclass(frozen=True)
class Field:
    """A column that the model reads.

    Attributes:
        name: The column's name.
        kind: ``categorical``, ``numeric`` or ``multi`` (a list of categories).
        encoding: For categories: ``auto`` (a vocabulary while it fits ``max_rows``, else a hash),
            ``vocabulary`` or ``hash``. For numeric fields: ``raw`` (a real number), ``buckets``
            (the result of the transform is a category), or ``auto`` (``raw`` where the transform
            has such a form).
        transform: For numeric fields: ``raw``, ``standard``, ``log2`` (the literature's
            floor(ln(z)^2) for z > 2), ``log2_monotone`` (ln(1 + |z|)^2 with the sign of z),
            ``quantile`` (buckets).
        min_count: A value keeps its own code if it occurs at least this often in training.
        max_rows: Most values that ``auto`` keeps as a vocabulary.
        bins: Buckets of the ``quantile`` transform.
        separator: Splits the tokens of a ``multi`` field whose column is text.
    """

    name: str
    kind: FieldKind
    encoding: str = "auto"
    transform: str = "standard"
    min_count: int = 2
    max_rows: int = 1_000_000
    bins: int = 32
    separator: str = "|"

    def __post_init__(self) -> None:
        where = f"field {self.name!r}"
        _one_of(where, "kind", self.kind, get_args(FieldKind))
        encodings, buckets = registry.names("encoding"), registry.names("bucket")
        transforms = dict.fromkeys([*registry.names("transform"), *buckets])
        _one_of(where, "transform", self.transform, transforms)
        _one_of(where, "encoding", self.encoding, [*encodings, "buckets", "raw"])
        for key, low in (("min_count", 1), ("max_rows", 1), ("bins", 2)):
            value = getattr(self, key)
            if not isinstance(value, int) or isinstance(value, bool) or value < low:
                rule = f"{key} must be an integer of at least {low}"
                raise SchemaError(f"{where}: {rule}; got {value!r}")
        if self.kind == "multi" and not self.separator:
            raise SchemaError(f"{where}: the separator of a multi field must not be empty")
        if self.kind == "numeric":
            self._check_numeric(where, buckets)
        elif self.encoding not in encodings:
            rule = f"the encoding of a {self.kind} field must be one of {', '.join(encodings)}"
            raise SchemaError(f"{where}: {rule}; got {self.encoding!r}")

    def _check_numeric(self, where: str, buckets: list[str]) -> None:
        if self.encoding not in ("auto", "raw", "buckets"):
            rule = "the encoding of a numeric field must be 'raw' or 'buckets'"
            raise SchemaError(f"{where}: {rule}; got {self.encoding!r} (is it categorical?)")
        if self.encoding == "buckets" and self.transform not in buckets:
            rule = f"with encoding = 'buckets' the transform must be one of {', '.join(buckets)}"
            raise SchemaError(f"{where}: {rule}; got {self.transform!r}")
        if self.encoding == "raw" and self.transform not in registry.names("transform"):
            rule = f"transform {self.transform!r} gives buckets, not a raw number"
            raise SchemaError(f"{where}: {rule}")

    @property
    def component(self) -> tuple[Kind, str]:
        """Kind and name of the registered component that encodes the field, or its tokens."""
        if self.kind != "numeric":
            return "encoding", self.encoding
        real = self.encoding != "buckets" and self.transform in registry.names("transform")
        return "transform" if real else "bucket", self.transform


@dataclass(frozen=True)
class Cross:
    """A derived categorical field: the joint value of two or more fields, hash-encoded."""

    name: str
    fields: tuple[str, ...]


@dataclass(frozen=True)
class Split:
    """How rows are split into train, validation and test.

    Attributes:
        by: A registered split: ``random`` (hash of the key, or of file and row number), ``time``
            (the last rows are the test), ``column`` (a column names the split), ``files`` (each
            file is in one split).
        ratios: Shares of train, validation and test, for ``random``, ``time`` and ``files``.
        embargo: For ``time``: rows this close before a boundary are left out, in seconds for
            dates and in the column's own unit for numbers.
        column: For ``column``: its name; its values are ``train``, ``validation`` (``valid``,
            ``val``) or ``test``.
    """

    by: str = "random"
    ratios: tuple[float, float, float] = (8.0, 1.0, 1.0)
    embargo: float = 0.0
    column: str | None = None

    def __post_init__(self) -> None:
        _one_of("[split]", "by", self.by, registry.names("split"))
        if len(self.ratios) != 3 or min(self.ratios) <= 0:
            raise SchemaError(
                f"[split]: ratios must be three positive numbers; got {self.ratios!r}"
            )
        if self.embargo < 0:
            raise SchemaError(f"[split]: embargo must not be negative; got {self.embargo!r}")
        if (self.by == "column") != (self.column is not None):
            raise SchemaError(
                "[split]: by = 'column' and column = NAME must be given together; got "
                f"by = {self.by!r} and column = {self.column!r}"
            )


@dataclass(frozen=True)
class Schema:
    """Fields and roles. A role and a field may share a column (a user id as feature and group).

    Attributes:
        fields: Columns that the model reads.
        label: Column of the 0/1 label; None where only features are needed (scoring).
        weight: Column of row weights.
        group: Column of the groups within which group metrics are computed.
        time: Column of the event time (dates or numbers).
        key: Column that identifies a row or user: the random split keeps its rows together.
        crosses: Derived fields.
        split: How rows are split; None: by time where a time column is declared, else random.
        columns: Names of the columns of text files without a header row.
    """

    fields: tuple[Field, ...]
    label: str | None = None
    weight: str | None = None
    group: str | None = None
    time: str | None = None
    key: str | None = None
    crosses: tuple[Cross, ...] = ()
    split: Split | None = None
    columns: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        names = [f.name for f in self.fields] + [c.name for c in self.crosses]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise SchemaError(f"field {twice[0]!r} is declared twice")
        taken = [n for n in names if n in ROLE_COLUMNS]
        if taken:
            raise SchemaError(
                f"field {taken[0]!r} has a name that encoded rows need for a role; rename the "
                "column, or leave it out: --ignore"
            )
        if self.label in names:
            raise SchemaError(f"the label {self.label!r} must not be a field: it would leak")
        if self.weight is not None and self.weight == self.label:
            raise SchemaError(
                f"the weight must not be the label {self.label!r}: every row of class 0 would "
                "have the weight 0; name another column with --weight, or none"
            )
        for cross in self.crosses:
            if len(cross.fields) < 2:
                raise SchemaError(
                    f"cross {cross.name!r} must join two or more fields; got {cross.fields!r}"
                )
            for member in cross.fields:
                self.field(member)

    @property
    def names(self) -> list[str]:
        """Names of the fields, in order."""
        return [f.name for f in self.fields]

    @property
    def effective_split(self) -> Split:
        """The declared split, or the default: by time where there is a time, else random."""
        return self.split or Split(by="time" if self.time else "random")

    def field(self, name: str) -> Field:
        """Return a field by name.

        Raises:
            SchemaError: There is none; suggests the nearest.
        """
        for f in self.fields:
            if f.name == name:
                return f
        raise SchemaError(f"unknown field {name!r}{nearest(name, self.names)}")

    def select(self, names: Iterable[str]) -> Schema:
        """Return the schema with only the named fields, and the crosses whose members remain."""
        wanted = list(names)
        kept = tuple(self.field(n) for n in wanted)
        crosses = tuple(c for c in self.crosses if set(c.fields) <= set(wanted))
        return replace(self, fields=kept, crosses=crosses)

    def role_columns(self) -> dict[str, str]:
        """Return role -> column for the declared roles, the label first."""
        columns = (self.label, self.weight, self.group, self.time, self.key)
        return {r: c for r, c in zip(ROLES, columns, strict=True) if c is not None}

    def required_columns(self) -> list[str]:
        """Return every column that training reads, each once."""
        split = [self.split.column] if self.split and self.split.column else []
        return list(dict.fromkeys([*self.names, *self.role_columns().values(), *split]))

    def to_toml(self) -> str:
        """Return the schema as TOML text; :meth:`from_toml` reads it back equal."""
        lines = [f"format = {FORMAT}"]
        lines += [f"{role} = {_toml(column)}" for role, column in self.role_columns().items()]
        if self.columns is not None:
            lines.append(f"columns = {_toml(list(self.columns))}")
        if self.split is not None:
            lines += ["", "[split]", *_toml_items(self.split)]
        for f in self.fields:
            lines += ["", f"[fields.{_toml(f.name)}]", *_toml_items(f, skip="name")]
        for c in self.crosses:
            lines += ["", f"[crosses.{_toml(c.name)}]", f"fields = {_toml(list(c.fields))}"]
        return "\n".join(lines) + "\n"

    @classmethod
    def from_toml(cls, text: str, where: str = "schema") -> Schema:
        """Read TOML text.

        Raises:
            SchemaError: The text is not TOML, has an unknown key, or contradicts itself.
        """
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise SchemaError(f"{where} is not valid TOML: {error}") from error
        except RecursionError:
            raise SchemaError(f"{where} cannot be read: it is nested too deeply") from None
        version = data.pop("format", FORMAT)
        if version != FORMAT:
            raise SchemaError(f"{where}: format must be {FORMAT} for this ctrkit; got {version!r}")
        columns = data.pop("columns", [])
        fields, crosses = (_table(where, data, key) for key in ("fields", "crosses"))
        split = data.pop("split", None)
        _check_keys(where, data, ROLES)
        if not isinstance(columns, list):
            raise SchemaError(f"{where}: columns must be a list of names; got {columns!r}")
        for name in [*data.values(), *columns]:
            if not isinstance(name, str):
                raise SchemaError(f"{where}: the name of a column must be text; got {name!r}")
        try:
            return cls(
                fields=tuple(_build(Field, f"field {n!r}", v, name=n) for n, v in fields.items()),
                crosses=tuple(_build(Cross, f"cross {n!r}", v, name=n) for n, v in crosses.items()),
                split=None if split is None else _build(Split, "[split]", split),
                columns=tuple(columns) or None,
                **data,
            )
        except SchemaError as error:
            raise SchemaError(f"{where}: {error}") from error

    def save(self, path: Path) -> None:
        """Write ``schema.toml``."""
        write_atomic(path, self.to_toml())

    @classmethod
    def load(cls, path: Path) -> Schema:
        """Read ``schema.toml``.

        Raises:
            SchemaError: The file is missing or invalid.
        """
        if not path.is_file():
            raise SchemaError(f"there is no schema file {str(path)!r}")
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise SchemaError(f"{path} is not valid TOML: {error}") from error
        return cls.from_toml(text, where=str(path))


def _one_of(where: str, key: str, value: object, allowed: Iterable[str]) -> None:
    names = list(allowed)
    if value not in names:
        hint = nearest(str(value), names)
        raise SchemaError(f"{where}: {key} must be one of {', '.join(names)}; got {value!r}{hint}")


def _check_keys(where: str, data: Mapping[str, Any], allowed: Iterable[str]) -> None:
    names = list(allowed)
    for key in data:
        if key not in names:
            raise SchemaError(f"{where}: unknown key {key!r}{nearest(key, names)}")


def _table(where: str, data: dict[str, Any], key: str) -> dict[str, Any]:
    """Remove a table of tables from the data, and return it."""
    table = data.pop(key, {})
    if not isinstance(table, dict):
        raise SchemaError(f"{where}: {key} must be a table of names; got {table!r}")
    return table


def _build(cls: type[Any], where: str, data: object, **fixed: str) -> Any:
    """Build a dataclass from a TOML table; lists become tuples."""
    if not isinstance(data, dict):
        raise SchemaError(f"{where} must be a table of keys and values; got {data!r}")
    _check_keys(where, data, [f.name for f in dataclasses.fields(cls) if f.name not in fixed])
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    try:
        return cls(**fixed, **values)
    except TypeError as error:
        raise SchemaError(f"{where}: {error}") from error


def _toml(value: object) -> str:
    """Write a string, number, boolean or list of strings; JSON's escapes are TOML's too."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _toml_items(data: Any, skip: str = "") -> list[str]:
    """Write the items of a dataclass that differ from their defaults, and the kind."""
    lines = []
    for f in dataclasses.fields(data):
        value = getattr(data, f.name)
        if (
            f.name != skip
            and value is not None
            and (f.name in ("kind", "by") or value != f.default)
        ):
            lines.append(f"{f.name} = {_toml(list(value) if isinstance(value, tuple) else value)}")
    return lines
