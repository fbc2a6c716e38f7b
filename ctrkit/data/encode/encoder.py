"""The frozen encoder: raw columns to codes, real numbers and bags; the same file at serving."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ctrkit.checksums import CHECKSUMS, check_files, write_checksums
from ctrkit.data.columns.parallel import by_column
from ctrkit.data.encode.bag import BagEncoder
from ctrkit.data.encode.counts import Counts
from ctrkit.data.encode.cross import CrossEncoder
from ctrkit.data.encode.cross_keys import load_crosses, save_crosses
from ctrkit.data.encode.field import CategoryEncoder, FieldEncoder
from ctrkit.data.encode.real import RealEncoder
from ctrkit.data.encode.registered import field_encoder
from ctrkit.data.encode.state import FieldState
from ctrkit.data.store.batch import Encoded
from ctrkit.errors import CtrkitError, DataError, RunFolderError, SchemaError
from ctrkit.files import atomic_folder, read_json, write_json
from ctrkit.layout import CrossKeys, Layout
from ctrkit.schema import Field, Schema

FORMAT = 1


@dataclass(frozen=True)
class Encoder:
    """Turns raw rows into codes.

    Codes: 0 missing, 1 unseen or rare, 2 dropped, from 3 by falling training count.

    Attributes:
        schema: What the columns mean.
        fields: The fitted encoder of each field, by name.
        crosses: Exact crosses, where some were counted (``encoder/crosses/``).
    """

    schema: Schema
    fields: Mapping[str, FieldEncoder]
    crosses: CrossKeys | None = field(default=None, repr=False, compare=False)

    @classmethod
    def fit(cls, schema: Schema, counts: Counts) -> Encoder:
        """Freeze vocabularies, moments and edges.

        Raises:
            SchemaError: A cross joins a real number or a multi-valued field.
        """
        fields = {f.name: field_encoder(f).fit(counts.of(f.name)) for f in schema.fields}
        encoder = cls(schema, fields)
        assert len(encoder.schema_crosses) == len(schema.crosses)  # their members are checked
        return encoder

    @functools.cached_property
    def categorical(self) -> tuple[CategoryEncoder, ...]:
        """Encoders of fields with one code, in layout order; the schema's crosses follow them."""
        return tuple(e for e in self.fields.values() if isinstance(e, CategoryEncoder))

    @functools.cached_property
    def schema_crosses(self) -> tuple[CrossEncoder, ...]:
        """Encoders of the schema's crosses, in layout order."""
        return tuple(
            CrossEncoder(cross, [self.fields[name] for name in cross.fields])
            for cross in self.schema.crosses
        )

    @functools.cached_property
    def numeric(self) -> tuple[RealEncoder, ...]:
        """Encoders of fields that stay real numbers, in layout order."""
        return tuple(e for e in self.fields.values() if isinstance(e, RealEncoder))

    @functools.cached_property
    def multi(self) -> tuple[BagEncoder, ...]:
        """Encoders of multi-valued fields, in layout order."""
        return tuple(e for e in self.fields.values() if isinstance(e, BagEncoder))

    def layout(self) -> Layout:
        """Return the layout, with the training counts of every code that was counted."""
        encoders: list[FieldEncoder | CrossEncoder] = [
            *self.categorical,
            *self.schema_crosses,
            *self.numeric,
            *self.multi,
        ]
        counts = {
            name: np.asarray(encoder.state.counts, np.int64)
            for name, encoder in self.fields.items()
            if encoder.state.counts
        }
        return Layout(tuple(e.layout_field() for e in encoders), counts, self.crosses)

    def values(self, name: str) -> list[str]:
        """Return the text of each code of a field; the reserved ones are named in brackets.

        Raises:
            SchemaError: The field is unknown or has no vocabulary.
        """
        names = self.fields[self.schema.field(name).name].names()
        if names is None:
            raise SchemaError(f"field {name!r} has no vocabulary (it is hashed or a real number)")
        return names

    def encode(self, frame: pl.DataFrame, *, strict: bool = False) -> Encoded:
        """Encode raw rows.

        Args:
            frame: Raw columns in any order; others are ignored.
            strict: Refuse a missing column; else all its values are missing.

        Raises:
            DataError: A value cannot be read as its field's kind; a column is missing.
        """
        absent = [n for n in self.schema.names if n not in frame.columns]
        if strict and absent:
            raise DataError(f"the data has no column {absent[0]!r}, which the encoder reads")
        rows = frame.height
        raw = {f.name: _column(frame, f) for f in self.schema.fields}

        coded: list[CategoryEncoder | CrossEncoder] = [*self.categorical, *self.schema_crosses]
        codes = np.empty((rows, len(coded)), np.uint32, order="F")

        def fill(index: int) -> None:
            encoder = coded[index]
            if isinstance(encoder, CrossEncoder):
                codes[:, index] = encoder.encode(raw)
            else:
                codes[:, index] = encoder.encode(raw[encoder.field.name])

        by_column(fill, range(len(coded)), rows)
        numbers = np.empty((rows, len(self.numeric)), np.float32)
        for index, real in enumerate(self.numeric):
            numbers[:, index] = real.encode(raw[real.field.name])
        return Encoded(codes, numbers, tuple(m.encode(raw[m.field.name]) for m in self.multi))

    def save(self, folder: Path) -> None:
        """Write ``encoder.json``, ``vocabulary/<field index>.parquet``, and ``crosses/`` if any.

        ``checksums.json`` next to them covers all of them.

        The folder is replaced as a whole.
        """
        with atomic_folder(folder) as temporary:
            self._write(temporary)

    def _write(self, folder: Path) -> None:
        tables = folder / "vocabulary"
        tables.mkdir(parents=True, exist_ok=True)
        facts = {}
        for index, f in enumerate(self.schema.fields):
            state = self.fields[f.name].state
            facts[f.name] = state.facts()
            state.save_tables(tables, index)
        text = {"format": FORMAT, "schema": self.schema.to_toml(), "fields": facts}
        write_json(folder / "encoder.json", text)
        if self.crosses is not None:
            save_crosses(folder / "crosses", self.crosses, self.layout())
        write_checksums(folder / CHECKSUMS, folder)

    @classmethod
    def load(cls, folder: Path) -> Encoder:
        """Read what :meth:`save` wrote.

        Raises:
            RunFolderError: There is no encoder, or it is damaged or of another format.
            DataError: A vocabulary is damaged.
        """
        path = Path(folder) / "encoder.json"
        check_files(path.parent, None, "fit the encoder again")
        if not path.is_file():
            raise RunFolderError(f"{str(folder)!r} holds no encoder")
        data = read_json(path)
        try:
            return cls._read(path, data)
        except CtrkitError:
            raise
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise RunFolderError(f"{path}: it is no encoder of ctrkit's ({error!r})") from error

    @classmethod
    def _read(cls, path: Path, data: Any) -> Encoder:
        if data.get("format") != FORMAT:
            raise RunFolderError(
                f"{path}: encoder format {data.get('format')!r}; this ctrkit reads {FORMAT}"
            )
        schema, fields = Schema.from_toml(data["schema"], where=str(path)), {}
        for index, f in enumerate(schema.fields):
            state = FieldState.load(data["fields"][f.name], path.parent / "vocabulary", index)
            fields[f.name] = field_encoder(f).restored(state)
        encoder, crosses = cls(schema, fields), path.parent / "crosses"
        if crosses.is_dir():
            return replace(encoder, crosses=load_crosses(crosses, encoder.layout()))
        return encoder


def _column(frame: pl.DataFrame, f: Field) -> pl.Series:
    if f.name in frame.columns:
        return frame[f.name]
    return pl.Series(f.name, [None], dtype=pl.String).new_from_index(0, frame.height)
