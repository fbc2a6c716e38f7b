"""The frozen encoder: raw columns to codes, real numbers and bags; the same file at serving."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.columns.numbers import to_numbers
from ctrkit.data.columns.parallel import by_column
from ctrkit.data.columns.text import explode, to_text, to_tokens
from ctrkit.data.encode.counts import Counts
from ctrkit.data.encode.crosses import load_crosses, save_crosses
from ctrkit.data.encode.freeze import FieldState, freeze
from ctrkit.data.encode.lookup import ABSENT, Lookup
from ctrkit.data.encode.numeric import bucket_codes, log_category, real_numbers
from ctrkit.data.hashing import fold, splitmix64, stable_hash
from ctrkit.errors import DataError, RunFolderError, SchemaError
from ctrkit.files import atomic_folder, write_json
from ctrkit.layout import CrossKeys, Layout, LayoutField
from ctrkit.schema import DROPPED, MISSING, RESERVED, UNSEEN, Cross, Field, Schema

FORMAT = 1
Codes = npt.NDArray[np.uint32]
Bag = tuple[Codes, npt.NDArray[np.int64]]


@dataclass(frozen=True)
class Encoded:
    """Encoded rows, in the order of the layout.

    Attributes:
        codes: (n, Fc) uint32.
        numbers: (n, Fn) float32; NaN is missing.
        bags: Per multi-valued field: tokens (T,) uint32 and offsets (n + 1,) int64.
    """

    codes: Codes
    numbers: npt.NDArray[np.float32]
    bags: tuple[Bag, ...]


@dataclass(frozen=True)
class Encoder:
    """Turns raw rows into codes.

    Codes: 0 missing, 1 unseen or rare, 2 dropped, from 3 by falling training count.

    Attributes:
        schema: What the columns mean.
        states: Per field, what training froze.
        crosses: Exact crosses, where some were counted (``encoder/crosses/``).
    """

    schema: Schema
    states: Mapping[str, FieldState]
    crosses: CrossKeys | None = field(default=None, repr=False, compare=False)
    _cache: dict[str, Lookup] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def fit(cls, schema: Schema, counts: Counts) -> Encoder:
        """Freeze vocabularies, moments and edges.

        Raises:
            SchemaError: A cross joins a real number or a multi-valued field.
        """
        for cross in schema.crosses:
            for member in map(schema.field, cross.fields):
                if member.kind == "multi" or (member.kind == "numeric" and not member.bucketised):
                    raise SchemaError(
                        f"cross {cross.name!r}: member {member.name!r} is {member.kind}; "
                        "join categorical fields or buckets"
                    )
        return cls(schema, {f.name: freeze(f, counts) for f in schema.fields})

    @functools.cached_property
    def categorical(self) -> tuple[Field | Cross, ...]:
        """Fields of one code, then crosses, in layout order."""
        kept = [f for f in self.schema.fields if f.kind == "categorical" or f.bucketised]
        return (*kept, *self.schema.crosses)

    @functools.cached_property
    def numeric(self) -> tuple[Field, ...]:
        """Fields that stay real numbers, in layout order."""
        return tuple(f for f in self.schema.fields if f.kind == "numeric" and not f.bucketised)

    @functools.cached_property
    def multi(self) -> tuple[Field, ...]:
        """Multi-valued fields, in layout order."""
        return tuple(f for f in self.schema.fields if f.kind == "multi")

    def layout(self) -> Layout:
        """Return the layout, with the training counts of every code that was counted."""
        fields, counts = [], {}
        for f in (*self.categorical, *self.numeric, *self.multi):
            state = FieldState(hashed=True) if isinstance(f, Cross) else self.states[f.name]
            kind = "multi" if f in self.multi else "numeric" if f in self.numeric else "categorical"
            rows = 2**32 if state.hashed else len(state.counts)
            fields.append(LayoutField(f.name, kind, rows, state.hashed, state.edges))  # type: ignore[arg-type]
            if state.counts:
                counts[f.name] = np.asarray(state.counts, np.int64)
        return Layout(tuple(fields), counts, self.crosses)

    def values(self, name: str) -> list[str]:
        """Return the text of each code of a field; the reserved ones are named in brackets.

        Raises:
            SchemaError: The field is unknown or has no vocabulary.
        """
        state = self.states[self.schema.field(name).name]
        if state.hashed or not state.counts:
            raise SchemaError(f"field {name!r} has no vocabulary (it is hashed or a real number)")
        names = list(state.values)
        if self.schema.field(name).transform == "quantile" and not names:
            ends = [f"{e:g}" for e in state.edges]
            names = [f"[{a}, {b})" for a, b in zip(["-inf", *ends], [*ends, "inf"], strict=True)]
            kept = [code != DROPPED for code in state.recode[RESERVED:]] or [True] * len(names)
            names = [name for name, stays in zip(names, kept, strict=True) if stays]
        return ["<missing>", "<unseen>", "<dropped>", *names]

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
        codes = np.empty((rows, len(self.categorical)), np.uint32, order="F")

        def fill(index: int) -> None:
            codes[:, index] = self._column_codes(self.categorical[index], raw)

        by_column(fill, range(len(self.categorical)), rows)
        numbers = np.empty((rows, len(self.numeric)), np.float32)
        for index, f in enumerate(self.numeric):
            state = self.states[f.name]
            z = to_numbers(raw[f.name])
            numbers[:, index] = real_numbers(z, f.transform, state.mean, state.sd)
        return Encoded(codes, numbers, tuple(self._bag(raw[f.name], f) for f in self.multi))

    def _column_codes(self, f: Field | Cross, raw: Mapping[str, pl.Series]) -> Codes:
        if isinstance(f, Cross):
            return self._cross(f, raw)
        if f.transform == "quantile" and f.kind == "numeric":
            codes = bucket_codes(to_numbers(raw[f.name]), self.states[f.name].edges)
            return _recoded(codes, self.states[f.name])
        return self._codes(f.name, _text(raw[f.name], f))

    def _codes(self, name: str, texts: pl.Series) -> Codes:
        """Code a field's canonical text."""
        null = texts.is_null().to_numpy() if texts.null_count() else None
        state = self.states[name]
        if state.hashed:
            codes = fold(stable_hash(texts).fill_null(0).to_numpy())
        else:
            found = self._lookup(name).find(texts)
            codes = (found + np.int32(RESERVED)).view(np.uint32)
            codes[found == ABSENT] = UNSEEN
            if state.dropped:
                absent = np.flatnonzero(found == ABSENT)
                codes[absent[self._was_dropped(name, texts.gather(absent))]] = DROPPED
        if null is not None:
            codes[null] = MISSING
        return _recoded(codes, state)

    def _was_dropped(self, name: str, texts: pl.Series) -> npt.NDArray[np.bool_]:
        """Say which texts a selection dropped, by their hashes."""
        dropped = np.asarray(self.states[name].dropped, np.uint64)
        hashes = stable_hash(texts).fill_null(0).to_numpy()
        at = np.minimum(np.searchsorted(dropped, hashes), len(dropped) - 1)
        hit: npt.NDArray[np.bool_] = dropped[at] == hashes
        return hit

    def _lookup(self, name: str) -> Lookup:
        if name not in self._cache:
            self._cache[name] = Lookup(pl.Series("value", self.states[name].values, pl.String))
        return self._cache[name]

    def _bag(self, values: pl.Series, f: Field) -> Bag:
        lists = to_tokens(values, f)
        lengths, tokens = explode(lists)
        flat = self._codes(f.name, tokens.cast(pl.String))
        null = lists.is_null().to_numpy()
        if null.any():
            starts = np.cumsum(lengths) - lengths
            flat = np.insert(flat, starts[null], np.uint32(MISSING))
            lengths = np.where(null, 1, lengths)
        offsets = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return flat, offsets

    def _cross(self, cross: Cross, raw: Mapping[str, pl.Series]) -> Codes:
        """Mix the members' hashes in order; a missing member makes the cross missing."""
        joint: npt.NDArray[np.uint64] | None = None
        missing: npt.NDArray[np.bool_] = np.zeros(len(raw[cross.fields[0]]), bool)
        for member in map(self.schema.field, cross.fields):
            values = raw[member.name]
            if member.kind == "numeric" and member.transform == "quantile":
                code = bucket_codes(to_numbers(values), self.states[member.name].edges)
                hashed, null = code.astype(np.uint64), code == MISSING
            else:
                series = stable_hash(_text(values, member))
                hashed, null = series.fill_null(0).to_numpy(), series.is_null().to_numpy()
            missing = missing | null
            joint = splitmix64(hashed if joint is None else joint ^ hashed)
        assert joint is not None
        return np.where(missing, np.uint32(MISSING), fold(joint))

    def save(self, folder: Path) -> None:
        """Write ``encoder.json``, ``vocabulary/<field index>.parquet``, and ``crosses/`` if any.

        The folder is replaced as a whole.
        """
        with atomic_folder(folder) as beside:
            self._write(beside)

    def _write(self, folder: Path) -> None:
        (folder / "vocabulary").mkdir(parents=True, exist_ok=True)
        facts: dict[str, Any] = {}
        for index, f in enumerate(self.schema.fields):
            s = self.states[f.name]
            facts[f.name] = {
                "hashed": s.hashed,
                "mean": s.mean.hex(),
                "sd": s.sd.hex(),
                "edges": [e.hex() for e in s.edges],
                "missing": s.missing,
                "distinct": s.distinct,
                "counts": s.counts[: None if s.edges or not s.values else RESERVED],
                **({"recode": s.recode} if s.recode else {}),
            }
            if s.dropped:
                hashes = {"hash": s.dropped}
                path = folder / "vocabulary" / f"{index}.dropped.parquet"
                pl.DataFrame(hashes, schema={"hash": pl.UInt64}).write_parquet(path)
            if s.values:
                table = {
                    "code": range(RESERVED, RESERVED + len(s.values)),
                    "value": s.values,
                    "count": s.counts[RESERVED:],
                }
                kinds = {"code": pl.UInt32, "value": pl.String, "count": pl.Int64}
                path = folder / "vocabulary" / f"{index}.parquet"
                pl.DataFrame(table, schema=kinds).write_parquet(path)
        text = {"format": FORMAT, "schema": self.schema.to_toml(), "fields": facts}
        write_json(folder / "encoder.json", text)
        if self.crosses is not None:
            save_crosses(folder / "crosses", self.crosses, self.layout())

    @classmethod
    def load(cls, folder: Path) -> Encoder:
        """Read what :meth:`save` wrote.

        Raises:
            RunFolderError: There is no encoder, or one of another format.
        """
        path = Path(folder) / "encoder.json"
        if not path.is_file():
            raise RunFolderError(f"no encoder in {str(folder)!r}")
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.get("format") != FORMAT:
            raise RunFolderError(
                f"{path}: encoder format {data.get('format')!r}; this ctrkit reads {FORMAT}"
            )
        schema, states = Schema.from_toml(data["schema"], where=str(path)), {}
        for index, f in enumerate(schema.fields):
            facts = data["fields"][f.name]
            table_path = path.parent / "vocabulary" / f"{index}.parquet"
            values, counts = (), tuple(facts["counts"])
            if table_path.is_file():
                table = pl.read_parquet(table_path)
                values, counts = tuple(table["value"]), (*counts, *table["count"])
            path_of_dropped = path.parent / "vocabulary" / f"{index}.dropped.parquet"
            held = path_of_dropped.is_file()
            dropped = tuple(pl.read_parquet(path_of_dropped)["hash"]) if held else ()
            states[f.name] = FieldState(
                facts["hashed"],
                values,
                counts,
                float.fromhex(facts["mean"]),
                float.fromhex(facts["sd"]),
                tuple(map(float.fromhex, facts["edges"])),
                facts["missing"],
                facts["distinct"],
                tuple(facts.get("recode", ())),
                dropped,
            )
        found, crosses = cls(schema, states), path.parent / "crosses"
        if crosses.is_dir():
            return replace(found, crosses=load_crosses(crosses, found.layout()))
        return found


def _recoded(codes: Codes, state: FieldState) -> Codes:
    """Apply what pruning made of the first codes."""
    if not state.recode:
        return codes
    first = codes < len(state.recode)
    codes[first] = np.asarray(state.recode, np.uint32)[codes[first]]
    return codes


def _column(frame: pl.DataFrame, f: Field) -> pl.Series:
    if f.name in frame.columns:
        return frame[f.name]
    return pl.Series(f.name, [None], dtype=pl.String).new_from_index(0, frame.height)


def _text(values: pl.Series, f: Field) -> pl.Series:
    """Canonical text of a category, or of an integer log bucket."""
    if f.kind == "numeric":
        return log_category(to_numbers(values), f.transform)
    return to_text(values)
