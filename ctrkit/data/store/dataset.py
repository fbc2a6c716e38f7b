"""From a source of raw rows to an encoder and shards, which the cache keeps."""

from __future__ import annotations

import hashlib
import math
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from ctrkit.checksums import CHECKSUMS, write_checksums
from ctrkit.data.encode.counts import Counts
from ctrkit.data.encode.encoder import Encoder
from ctrkit.data.read.prefetch import read_ahead
from ctrkit.data.read.sources import Source
from ctrkit.data.sample import DataSampler, Sampled
from ctrkit.data.split.base import SplitPlan
from ctrkit.data.split.plan import plan_split
from ctrkit.data.store.cache import Scratch, build_folder, cache_key, cached
from ctrkit.data.store.shards import CHUNKS_AHEAD, FORMAT, ShardInfo, Shards, write_shards
from ctrkit.errors import DataError, RunFolderError, SchemaError, nearest
from ctrkit.files import read_json, write_json
from ctrkit.layout import Layout
from ctrkit.records import Progress
from ctrkit.schema import Schema

_UNEVEN = 0.5  # relative deviation from the ratio of a split that is reported
_ERRORS = 4.0  # standard errors of the share of a split by single rows
ENCODING = 3
"""Version of what is frozen from the counts; a new one invalidates earlier cache entries."""

INSPECTION = 1
"""Version of what is inspected; a new one invalidates cache entries whose rows were inspected."""


@dataclass(frozen=True)
class DatasetInfo:
    """What ``dataset.json`` holds, but for the warnings.

    Attributes:
        rows: Rows per split.
        positives: Rows per split whose label is 1.
        fingerprint: The cache key: sha256 of all that determines the content.
        encode_rows_s: Rows per second of counting and encoding together.
        split: Description of the split.
        cache_hit: Whether the rows were in the cache already.
        unseen: Share of unseen values in validation, by field.
    """

    rows: dict[str, int]
    positives: dict[str, int]
    fingerprint: str
    encode_rows_s: float
    split: dict[str, Any]
    cache_hit: bool = False
    unseen: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Dataset:
    """Encoded rows and what encoded them.

    Attributes:
        schema: What the columns mean.
        encoder: The frozen encoder.
        layout: Layout with training counts.
        shards: The encoded rows.
        info: Facts about them.
        warnings: Notices for the user.
        keep: Keeps a temporary folder, or a folder of the cache, from removal.
    """

    schema: Schema
    encoder: Encoder
    layout: Layout
    shards: Shards
    info: DatasetInfo
    warnings: list[str]
    keep: object = field(default=None, repr=False, compare=False)


class Inspect(Protocol):
    """Looks at a sample of the rows of a data set."""

    def __call__(self, sampled: Sampled, schema: Schema, *, by_chance: bool) -> list[str]:
        """Return warnings of one line each.

        Args:
            sampled: Sampled rows.
            schema: What the columns mean.
            by_chance: Whether the rows were split at random.
        """


@dataclass(frozen=True)
class EncodeOptions:
    """How rows are split and encoded, and where the result is cached.

    Attributes:
        split: Overrides the schema's way of splitting.
        seed: Seed of the random split.
        encoder: A frozen encoder; nothing is counted then.
        cache: Root of the cache; None: no cache.
        cache_limit: Maximum size of the cache in bytes.
        inspect: Returns warnings about sampled rows, and how they were split.
    """

    split: str | None = None
    seed: int = 0
    encoder: Encoder | None = None
    cache: Path | None = None
    cache_limit: int = 50_000_000_000
    inspect: Inspect | None = None


def prepare_dataset(
    source: Source,
    schema: Schema,
    options: EncodeOptions | None = None,
    *,
    out: Path | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Dataset:
    """Split, count the training rows, freeze the encoder and write shards.

    Args:
        source: Raw rows.
        schema: What the columns mean.
        options: Split, frozen encoder and cache; None: the defaults.
        out: Folder to write instead of a cache.
        force: Overwrite ``out``.
        progress: Shows how many rows are counted and encoded.

    Raises:
        SchemaError: A column of the schema is not in the data.
        DataError: The data cannot be learned from.
        RunFolderError: ``out`` is not empty and ``force`` is not given.
    """
    options = options or EncodeOptions()
    encoder = options.encoder
    _check_columns(source, schema, frozen=encoder is not None)
    if out is not None and out.exists() and any(out.iterdir()) and not force:
        raise RunFolderError(
            f"{str(out)!r} is not empty; choose another folder or overwrite it with --force"
        )
    plan = plan_split(source, schema, by=options.split, seed=options.seed)
    version = source.version()
    key = cache_key(
        {
            "source": source.fingerprint(),
            "version": uuid4().hex if version is None else version,
            "schema": schema.to_toml(),
            "seed": options.seed,
            "split": plan.describe(),
            "encoder": None if encoder is None else [encoder.schema.to_toml(), _digest(encoder)],
            "format": FORMAT,
            "frozen": ENCODING,
            **({"inspected": INSPECTION} if options.inspect else {}),
        }
    )

    def build(folder: Path) -> None:
        _build(_Work(source, schema, plan, progress, options.inspect), encoder, folder, key)

    def build_checked(folder: Path) -> None:
        build(folder)
        write_checksums(folder / CHECKSUMS, folder)

    if out is not None:
        build_folder(out, build_checked)
        return _open(out)
    if options.cache is not None and version is not None:
        entry = cached(options.cache, key, build, options.cache_limit)
        return _open(entry.folder, entry.hit, entry)
    scratch = Scratch()
    build_folder(scratch.folder / "data", build)
    return _open(scratch.folder / "data", keep=scratch)


def _open(folder: Path, hit: bool = False, keep: object = None) -> Dataset:
    encoder = Encoder.load(folder / "encoder")
    facts = read_json(folder / "dataset.json")
    warnings = facts.pop("warnings")
    info = DatasetInfo(**facts, cache_hit=hit)
    shards = Shards(folder, keep=keep, check=False)  # just built, or checked by the cache
    return Dataset(encoder.schema, encoder, encoder.layout(), shards, info, warnings, keep)


def _digest(encoder: Encoder) -> str:
    """Return a sha256 of an encoder's fitted state."""
    facts: dict[str, Any] = {name: repr(e.state) for name, e in encoder.fields.items()}
    crosses = encoder.crosses
    if crosses is not None:
        facts["\0crosses"] = crosses.pairs
        facts["\0least"] = crosses.min_count
        facts["\0keys"] = hashlib.sha256(crosses.keys.tobytes()).hexdigest()
    return cache_key(facts)


def _check_columns(source: Source, schema: Schema, *, frozen: bool) -> None:
    columns = [c for c in schema.required_columns() if not frozen or c not in schema.names]
    for column in columns:
        if column not in source.columns:
            hint = nearest(column, source.columns)
            raise SchemaError(f"column {column!r} of the schema is not in the data{hint}")


@dataclass(frozen=True)
class _Work:
    """What is read to build a data set."""

    source: Source
    schema: Schema
    plan: SplitPlan
    progress: Progress | None
    inspect: Inspect | None = None


def _build(work: _Work, encoder: Encoder | None, folder: Path, key: str) -> None:
    """Fill a folder with encoder, shards and ``dataset.json``."""
    started = time.perf_counter()
    warnings: list[str] = []
    if encoder is None:
        counts = _count(work)
        encoder, warnings = Encoder.fit(work.schema, counts), counts.notices()
    sampler = DataSampler(work.schema) if work.inspect is not None else None
    shards = write_shards(work.source, encoder, work.plan, folder, work.progress, sampler)
    _check_rows(shards, work.schema)
    warnings += _uneven(shards, work)
    encoder.save(folder / "encoder")
    seconds = time.perf_counter() - started
    if work.inspect is not None and sampler is not None:
        by_chance = work.plan.split.by == "random"
        warnings += work.inspect(sampler.sampled(), work.schema, by_chance=by_chance)
    info = {
        "rows": shards.rows,
        "positives": shards.positives,
        "fingerprint": key,
        "encode_rows_s": sum(shards.rows.values()) / seconds,
        "split": work.plan.describe(),
        "warnings": warnings,
        "unseen": shards.unseen,
    }
    write_json(folder / "dataset.json", info, default=str)


def _uneven(shards: ShardInfo, work: _Work) -> list[str]:
    """Return a warning if a key or time has so few values that a split is far from its ratio."""
    role = {"random": "key", "time": "time"}.get(work.plan.split.by, "")
    column = {"key": work.schema.key, "time": work.schema.time}.get(role)
    if column is None:
        return []
    rows, ratios = sum(shards.rows.values()), work.plan.split.ratios
    for split, ratio in zip(shards.rows, ratios, strict=True):
        share, expected = shards.rows[split] / rows, ratio / sum(ratios)
        chance = math.sqrt(expected * (1 - expected) / rows)
        if abs(share - expected) > max(_UNEVEN * expected, _ERRORS * chance):
            return [
                f"the {split} split has {share:.1%} of the rows, not {expected:.1%}: the "
                f"{role} {column!r} has few values, or some with many rows; name another --{role}"
            ]
    return []


def _count(work: _Work) -> Counts:
    """Count the training rows."""
    counts, done = Counts(work.schema), 0
    columns = [c for c in work.schema.required_columns() if c in work.source.columns]
    with closing(read_ahead(work.source.chunks(columns), CHUNKS_AHEAD)) as chunks:
        for chunk in chunks:
            with work.source.locating(chunk):
                train = work.plan.assign(chunk) == 0
            with work.source.locating(chunk, train):
                counts.update(chunk.frame if train.all() else chunk.frame.filter(train))
            done += chunk.frame.height
            if work.progress is not None:
                work.progress.update("count", done, None, f"{done:,} rows")
    return counts


def _check_rows(shards: ShardInfo, schema: Schema) -> None:
    for split, rows in shards.rows.items():
        if rows == 0:
            raise DataError(
                f"the {split} split must have rows; it is empty: give more rows, or other "
                "[split] ratios in the schema"
            )
    rows, positives = shards.rows["train"], shards.positives["train"]
    if positives in (0, rows):
        only = 0 if positives == 0 else 1
        raise DataError(
            f"label {schema.label!r} must be 0 and 1 in training, but all {rows} training "
            f"rows are {only}: nothing to learn"
        )
