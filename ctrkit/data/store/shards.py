"""Encoded rows on disk: uncompressed Arrow IPC blocks, read through memory maps alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ctrkit.checksums import check_files
from ctrkit.data.columns.groups import group_array
from ctrkit.data.columns.labels import label_array
from ctrkit.data.columns.rows import row_ids
from ctrkit.data.columns.weights import check_total, weight_array
from ctrkit.data.encode.encoder import Encoder
from ctrkit.data.encode.unseen import UnseenTally
from ctrkit.data.read.chunks import Chunk
from ctrkit.data.read.prefetch import read_ahead
from ctrkit.data.read.sources import Source
from ctrkit.data.sample import DataSampler
from ctrkit.data.split.base import SPLITS, SplitPlan
from ctrkit.data.store.batch import Encoded
from ctrkit.errors import RunFolderError
from ctrkit.files import read_json, write_json
from ctrkit.layout import Layout
from ctrkit.records import Progress
from ctrkit.schema import ROLE_COLUMNS, Schema

FORMAT = 1
BLOCK_ROWS = 131_072
BLOCKS_PER_FILE = 64
CHUNKS_AHEAD = 1
LABEL, WEIGHT, GROUP, ROW = ROLE_COLUMNS
INFO = "shards.json"
_VALIDATION = SPLITS.index("validation")


@dataclass
class ShardInfo:
    """What was written.

    Attributes:
        rows: Rows per split.
        positives: Rows per split whose label is 1.
        files: Per split, the rows of each block of each file.
        unseen: Share of unseen values in validation, by field.
    """

    rows: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))
    positives: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))
    files: dict[str, list[list[int]]] = field(default_factory=lambda: {s: [] for s in SPLITS})
    unseen: dict[str, float] = field(default_factory=dict)


class _Writer:
    """Cuts the batches of one split into blocks of exactly ``BLOCK_ROWS``, and those into files."""

    def __init__(self, folder: Path, split: str, info: ShardInfo) -> None:
        self._folder, self._split, self._info = folder, split, info
        self._pending: list[pa.RecordBatch] = []
        self._waiting = 0
        self._file: Any = None

    def add(self, batch: pa.RecordBatch) -> None:
        self._pending.append(batch)
        self._waiting += batch.num_rows
        while self._waiting >= BLOCK_ROWS:
            self._write(BLOCK_ROWS)

    def _write(self, rows: int) -> None:
        table = pa.Table.from_batches(self._pending)
        block, rest = table.slice(0, rows).combine_chunks(), table.slice(rows)
        files = self._info.files[self._split]
        if self._file is None or len(files[-1]) == BLOCKS_PER_FILE:
            self.close()
            path = self._folder / f"{self._split}-{len(files):05d}.arrow"
            self._file = pa.ipc.new_file(str(path), block.schema)
            files.append([])
        self._file.write_batch(block.to_batches()[0])
        files[-1].append(rows)
        self._waiting -= rows
        # a copy: a slice would keep the whole chunk alive
        self._pending = rest.combine_chunks().to_batches() if self._waiting else []

    def finish(self) -> None:
        if self._waiting:
            self._write(self._waiting)
        self.close()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def write_shards(
    source: Source,
    encoder: Encoder,
    plan: SplitPlan,
    folder: Path,
    progress: Progress | None = None,
    sampler: DataSampler | None = None,
) -> ShardInfo:
    """Encode every row of a source in one pass and write its split's shards.

    Args:
        source: Raw rows.
        encoder: The frozen encoder.
        plan: Assigns each row to a split.
        folder: Receives ``<split>-00000.arrow``, ... and ``shards.json``.
        progress: Shows how many rows are encoded.
        sampler: Is given all rows.

    Raises:
        DataError: A label, weight or value is invalid.
    """
    folder.mkdir(parents=True, exist_ok=True)
    info, layout, done = ShardInfo(), encoder.layout(), 0
    weights = dict.fromkeys(SPLITS, 0.0)
    validation = UnseenTally(layout)
    writers = {split: _Writer(folder, split, info) for split in SPLITS}
    names = [c for c in encoder.schema.required_columns() if c in source.columns]
    try:
        with closing(read_ahead(source.chunks(names), CHUNKS_AHEAD)) as chunks:
            for chunk in chunks:
                with source.locating(chunk):
                    splits = plan.assign(chunk)
                    encoded = encoder.encode(chunk.frame)
                    table = _table(chunk, encoded, layout, encoder.schema)
                validation.add(encoded, np.flatnonzero(splits == _VALIDATION))
                _split(table, splits, row_ids(chunk), writers, info, weights)
                if sampler is not None:
                    label = table.column(LABEL).to_numpy().astype(np.uint8)
                    sampler.add(chunk, splits, label)
                done += chunk.frame.height
                if progress is not None:
                    progress.update("encode", done, None, f"{done:,} rows")
        for writer in writers.values():
            writer.finish()
    finally:
        for writer in writers.values():
            writer.close()
    for split, total in weights.items():
        if encoder.schema.weight in names and info.rows[split]:
            check_total(total, encoder.schema, f"{split} rows")
    info.unseen = validation.shares()
    text = {"format": FORMAT, **asdict(info), "layout": layout.to_json()}
    write_json(folder / INFO, text)
    return info


def _split(
    table: pa.RecordBatch,
    splits: npt.NDArray[np.uint8],
    ids: npt.NDArray[np.uint64],
    writers: Mapping[str, _Writer],
    info: ShardInfo,
    weights: dict[str, float],
) -> None:
    """Give each split its rows of a chunk, and sum their weights; ``splits (n,)`` names each's."""
    label = table.column(LABEL).to_numpy()
    for index, (split, writer) in enumerate(writers.items()):
        rows = np.flatnonzero(splits == index)
        if not len(rows):
            continue
        batch = table.take(pa.array(rows))
        if split != "train":
            batch = batch.append_column(ROW, pa.array(ids[rows]))
        writer.add(batch)
        info.rows[split] += len(rows)
        info.positives[split] += int(label[rows].sum())
        if WEIGHT in table.schema.names:
            weights[split] += float(table.column(WEIGHT).to_numpy()[rows].sum(dtype=np.float64))


def _table(chunk: Chunk, encoded: Encoded, layout: Layout, schema: Schema) -> pa.RecordBatch:
    frame = chunk.frame
    columns: dict[str, pa.Array] = {}
    for i, f in enumerate(layout.of_kind("categorical")):
        columns[f.name] = pa.array(encoded.codes[:, i])
    for i, f in enumerate(layout.of_kind("numeric")):
        columns[f.name] = pa.array(np.ascontiguousarray(encoded.numbers[:, i]))
    for f, (tokens, lengths) in zip(layout.of_kind("multi"), encoded.bags, strict=True):
        offsets = np.zeros(len(lengths) + 1, np.int32)
        np.cumsum(lengths, out=offsets[1:])
        columns[f.name] = pa.ListArray.from_arrays(pa.array(offsets), pa.array(tokens))
    columns[LABEL] = pa.array(label_array(frame, schema, chunk.first_row))
    weight = weight_array(frame, schema, chunk.first_row)
    if weight is not None:
        columns[WEIGHT] = pa.array(weight)
    group = group_array(frame, schema)
    if group is not None:
        columns[GROUP] = pa.array(group)
    return pa.RecordBatch.from_pydict(columns)


class Shards:
    """Shards of a folder, mapped into memory as they are read.

    Attributes:
        folder: The folder.
        layout: Layout of the encoded fields (without counts).
    """

    def __init__(self, folder: str | Path, keep: object = None, *, check: bool = True) -> None:
        """Open a folder that :func:`write_shards` wrote.

        Args:
            folder: The folder.
            keep: An object that keeps the folder from removal while it lives.
            check: Whether to compare the files with their checksums, where there are some.

        Raises:
            RunFolderError: There are no shards, or they have another format or are damaged.
        """
        self.folder, self._keep = Path(folder), keep
        if check:
            check_files(self.folder, None, "encode the rows again")
        path = self.folder / INFO
        if not path.is_file():
            raise RunFolderError(f"{str(folder)!r} holds no encoded shards")
        data = read_json(path)
        if data.get("format") != FORMAT:
            raise RunFolderError(f"{path}: format {data.get('format')!r}; this ctrkit reads 1")
        self.layout = Layout.from_json(data["layout"])
        self.info = ShardInfo(data["rows"], data["positives"], data["files"])

    def rows(self, split: str) -> int:
        """Return the rows of a split."""
        return self.info.rows[split]

    def positives(self, split: str) -> int:
        """Return the rows of a split whose label is 1."""
        return self.info.positives[split]

    def blocks(self, split: str) -> Sequence[tuple[Path, int, int]]:
        """Return file, number within the file and rows of each block, in order."""
        return [
            (self.folder / f"{split}-{index:05d}.arrow", at, rows)
            for index, blocks in enumerate(self.info.files[split])
            for at, rows in enumerate(blocks)
        ]

    def read(self, block: tuple[Path, int, int]) -> pa.RecordBatch:
        """Map one block; nothing is copied."""
        with pa.memory_map(str(block[0])) as mapped:
            return pa.ipc.open_file(mapped).get_batch(block[1])
