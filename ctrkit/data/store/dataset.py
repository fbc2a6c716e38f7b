"""From a source of raw rows to an encoder and shards, found again in the cache."""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ctrkit.data.encode.counts import Counts
from ctrkit.data.encode.encoder import Encoder
from ctrkit.data.read.prefetch import read_ahead
from ctrkit.data.read.sources import Source
from ctrkit.data.split.base import SplitPlan
from ctrkit.data.split.plan import plan_split
from ctrkit.data.store.cache import Scratch, build_folder, cache_key, cached
from ctrkit.data.store.shards import CHUNKS_AHEAD, FORMAT, ShardInfo, Shards, write_shards
from ctrkit.errors import DataError, RunFolderError, SchemaError, nearest
from ctrkit.files import write_json
from ctrkit.layout import Layout
from ctrkit.schema import UNSEEN, Field, Schema

ENCODING = 2
"""What freezing keeps of the counts; a change makes earlier entries of the cache unfit."""


@dataclass(frozen=True)
class Dataset:
    """Encoded rows and what encoded them.

    Attributes:
        schema: What the columns mean.
        encoder: Frozen.
        layout: With training counts.
        shards: The encoded rows.
        info: Rows and positives per split, ``encode_rows_s``, ``fingerprint``, ``cache_hit``.
        warnings: Notices for the user.
        keep: Holds a temporary folder, or a folder of the cache, alive.
    """

    schema: Schema
    encoder: Encoder
    layout: Layout
    shards: Shards
    info: dict[str, Any]
    warnings: list[str]
    keep: Any = field(default=None, repr=False, compare=False)


def prepare_dataset(
    source: Source,
    schema: Schema,
    *,
    split: str | None = None,
    seed: int = 0,
    encoder: Encoder | None = None,
    cache: Path | None = None,
    cache_limit: int = 50_000_000_000,
    out: Path | None = None,
    force: bool = False,
    progress: Any = None,
) -> Dataset:
    """Split, count the training rows, freeze the encoder and write shards.

    Args:
        source: Raw rows.
        schema: What the columns mean.
        split: Overrides the schema's way of splitting.
        seed: Of the random split.
        encoder: A frozen one; then nothing is counted.
        cache: Root of the cache, if one is kept.
        cache_limit: Its bytes.
        out: Folder to write instead of a cache.
        force: Replace ``out``.
        progress: Object with ``update(stage, done, total, text)``.

    Raises:
        SchemaError: A column of the schema is not in the data.
        DataError: The data cannot be learned from.
        RunFolderError: ``out`` exists and ``force`` is not given.
    """
    _check_columns(source, schema, frozen=encoder is not None)
    if out is not None and out.exists() and any(out.iterdir()) and not force:
        raise RunFolderError(f"{str(out)!r} is not empty; choose another folder or give --force")
    plan = plan_split(source, schema, by=split, seed=seed)
    frozen = None if encoder is None else [encoder.schema.to_toml(), _digest(encoder)]
    key = cache_key(
        {
            "source": source.fingerprint(),
            "schema": schema.to_toml(),
            "seed": seed,
            "split": plan.describe(),
            "encoder": frozen,
            "format": FORMAT,
            "frozen": ENCODING,
        }
    )

    def build(folder: Path) -> None:
        _build(source, schema, plan, encoder, folder, key, progress)

    if out is not None:
        build_folder(out, build)
        return _open(out)
    if cache is not None:
        entry = cached(cache, key, build, cache_limit)
        return _open(entry.folder, entry.hit, entry)
    scratch = Scratch()
    build_folder(scratch.folder / "data", build)
    return _open(scratch.folder / "data", keep=scratch)


def _open(folder: Path, hit: bool = False, keep: object = None) -> Dataset:
    used = Encoder.load(folder / "encoder")
    info = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    warnings = info.pop("warnings")
    info["cache_hit"] = hit
    shards = Shards(folder, keep=keep)
    return Dataset(used.schema, used, used.layout(), shards, info, warnings, keep)


def _digest(encoder: Encoder) -> str:
    crosses = encoder.crosses
    keys = (
        {}
        if crosses is None
        else {
            "\0crosses": crosses.pairs,
            "\0least": crosses.min_count,
            "\0keys": hashlib.sha256(crosses.keys.tobytes()).hexdigest(),
        }
    )
    return cache_key({name: repr(state) for name, state in encoder.states.items()} | keys)


def _check_columns(source: Source, schema: Schema, *, frozen: bool) -> None:
    roles = [c for c in schema.required_columns() if not frozen or c not in schema.names]
    for column in roles:
        if column not in source.columns:
            hint = nearest(column, source.columns)
            raise SchemaError(f"column {column!r} of the schema is not in the data{hint}")


def _build(
    source: Source,
    schema: Schema,
    plan: SplitPlan,
    encoder: Encoder | None,
    folder: Path,
    key: str,
    progress: Any,
) -> None:
    started = time.perf_counter()
    warnings: list[str] = []
    if encoder is None:
        encoder, warnings = _fit(source, schema, plan, progress)
    shards = write_shards(source, encoder, plan, folder, progress)
    _check_rows(shards, schema)
    encoder.save(folder / "encoder")
    seconds = time.perf_counter() - started
    info = {
        "rows": shards.rows,
        "positives": shards.positives,
        "fingerprint": key,
        "encode_rows_s": sum(shards.rows.values()) / seconds,
        "split": plan.describe(),
        "warnings": warnings,
    }
    write_json(folder / "dataset.json", info, default=str)


def _fit(
    source: Source, schema: Schema, plan: SplitPlan, progress: Any
) -> tuple[Encoder, list[str]]:
    counts, done = Counts(schema), 0
    wanted = [c for c in schema.required_columns() if c in source.columns]
    with closing(read_ahead(source.chunks(wanted), CHUNKS_AHEAD)) as chunks:
        for chunk in chunks:
            train = plan.assign(chunk) == 0
            counts.update(chunk.frame if train.all() else chunk.frame.filter(train))
            done += chunk.frame.height
            if progress is not None:
                progress.update("count", done, None, f"{done:,} rows")
    return Encoder.fit(schema, counts), _notices(schema, counts)


def _check_rows(shards: ShardInfo, schema: Schema) -> None:
    for split, rows in shards.rows.items():
        if rows == 0:
            raise DataError(f"the {split} split is empty: give more rows or other [split] ratios")
    rows, positives = shards.rows["train"], shards.positives["train"]
    if positives in (0, rows):
        only = 0 if positives == 0 else 1
        raise DataError(
            f"label {schema.label!r}: all {rows} training rows are {only}: nothing to learn"
        )


def _notices(schema: Schema, counts: Counts) -> list[str]:
    told = (_notice(f, counts) for f in schema.fields) if counts.rows else ()
    return [f"field {name!r} {text}" for name, text in told if text]


def _notice(f: Field, counts: Counts) -> tuple[str, str]:
    """Return the field's name and why it teaches nothing, if so."""
    rows, missing = counts.rows, counts.missing[f.name]
    if f.encoding == "hash":
        nothing = f.kind != "multi" and missing == rows
        return f.name, "is missing in every training row" if nothing else ""
    seen = counts.table(f.name)["count"]
    if not len(seen):
        return f.name, "is missing in every training row"
    if len(seen) == 1 and missing == 0 and seen[0] == rows:
        close = " (to one part in 256)" if f.kind == "numeric" else ""  # a cell's width
        return f.name, f"is constant in training{close}"
    if f.kind != "numeric" and (seen < f.min_count).all():
        return f.name, (
            f"has only rare values (code {UNSEEN}); "
            f"lower its min_count = {f.min_count}, or leave the field out"
        )
    return f.name, ""
