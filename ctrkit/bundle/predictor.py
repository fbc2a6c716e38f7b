"""Raw rows in, probabilities out."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import torch

from ctrkit.bundle.inputs import model_inputs
from ctrkit.config.sections import RunConfig
from ctrkit.data.columns.formulas import without_formulas
from ctrkit.data.encode.encoder import Encoder
from ctrkit.data.encode.unseen import UnseenTally
from ctrkit.data.read.memory import to_polars
from ctrkit.data.read.options import ReadOptions
from ctrkit.data.read.sources import Source, frame_source, open_source
from ctrkit.data.store.batch import Encoded
from ctrkit.errors import CellError, DataError, nearest
from ctrkit.files import atomic_path
from ctrkit.layout import Layout
from ctrkit.models.model import Model
from ctrkit.schema import Schema

logger = logging.getLogger(__name__)

CHUNK_ROWS = 131_072
PREDICTION = "prediction"
"""Column of the scores in a file of predictions."""
_LISTED = 10  # columns that a message lists


class Predictor:
    """A trained model with its encoder: raw rows in, probabilities out.

    Rows may be a path, a polars, pandas or pyarrow table, a list of dicts or a dict of lists.
    Columns may be in any order, and columns that are not fields are ignored. New values are unseen,
    nulls are missing, and a field without a column is missing in every row.

    Attributes:
        config: Resolved configuration of the run.
        schema: Meaning of the columns.
        encoder: Raw columns -> codes.
        layout: What the model knows about the fields.
        model: Codes -> logits, in evaluation mode.
        validation_unseen: Share of unseen values in validation by field, where the run knows it.
    """

    def __init__(
        self,
        config: RunConfig,
        encoder: Encoder,
        layout: Layout,
        model: Model,
        validation_unseen: Mapping[str, float] | None = None,
    ) -> None:
        self.config = config
        self.encoder = encoder
        self.schema: Schema = encoder.schema
        self.layout = layout
        self.model = model.eval()
        self.validation_unseen = dict(validation_unseen or {})

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        device: torch.device = next(self.model.parameters()).device
        return device

    def predict(self, data: object, batch_rows: int = 1024) -> npt.NDArray[np.float64]:
        """Return click probabilities.

        Where the training data kept only the share ``data.sampling_rate`` of its negatives, the
        odds are multiplied by that share, which undoes the sampling: ``sigmoid(logit + ln rate)``.

        Args:
            data: Raw rows, or the path of a file or folder of them; the label is not needed.
            batch_rows: Rows per forward pass.

        Returns:
            ``(n,)`` float64 in row order.

        Raises:
            DataError: The rows have none of the schema's columns, or a value cannot be cast.
        """
        return self._probabilities(self.logits(data, batch_rows))

    def logits(self, data: object, batch_rows: int = 1024) -> npt.NDArray[np.float32]:
        """Return the model's logits ``(n,)`` float32, not corrected for sampling."""
        logits = [np.empty(0, np.float32)]
        source = self._open(data)
        if source is None:
            return logits[0]
        of_file = isinstance(data, str | Path)
        fields = self.columns_of_source(source) if of_file else self.columns(source.columns)
        for chunk in source.chunks(fields, CHUNK_ROWS):
            with source.locating(chunk):
                logits.append(self.encoded_logits(self.encode(chunk.frame), batch_rows))
        return np.concatenate(logits)

    def _open(self, data: object) -> Source | None:
        """Return raw rows, or those of a path, as a source; None: there are no rows in memory."""
        if isinstance(data, str | Path):
            text = self.config.data
            names = self.schema.columns
            options = ReadOptions(text.text_encoding, text.separator, text.header, names)
            return open_source(data, options)
        frame = to_polars(data, self.schema.names)
        return frame_source(frame) if frame.height else None

    def encode(self, frame: pl.DataFrame) -> Encoded:
        """Encode raw rows.

        Raises:
            DataError: The frame has none of the schema's columns, or a value cannot be cast.
        """
        present = self.columns(frame.columns)
        return self.encoder.encode(frame[present])

    def columns(self, present: Iterable[str]) -> list[str]:
        """Return the schema's fields among the names of columns.

        Raises:
            DataError: There are none.
        """
        names = list(present)
        fields = [name for name in self.schema.names if name in names]
        if not fields:
            raise DataError(
                f"the rows must have some of the model's columns "
                f"({', '.join(self.schema.names[:_LISTED])}); "
                f"got {', '.join(names[:_LISTED]) or 'no column'}"
            )
        return fields

    def columns_of_source(self, source: Source) -> list[str]:
        """Return :meth:`columns` of a source; log a warning that names those it does not have."""
        present = self.columns(source.columns)
        absent = [name for name in self.schema.names if name not in present]
        if absent:
            names = ", ".join(map(repr, absent[:_LISTED]))
            more = f" and {len(absent) - _LISTED} more" if len(absent) > _LISTED else ""
            others = set(source.columns) - set(present)
            logger.warning(
                f"the data has no column {names}{more}: {len(absent)} of the model's "
                f"{len(self.schema.names)} fields are missing in every row"
                f"{nearest(absent[0], others)}"
            )
        return present

    def encoded_logits(self, encoded: Encoded, batch_rows: int = 1024) -> npt.NDArray[np.float32]:
        """Return the logits ``(n,)`` of encoded rows.

        Raises:
            CellError: A logit is not finite: a number is too far from those of training.
        """
        self.model.eval()
        with torch.inference_mode():
            parts = [
                self.model(*model_inputs(rows, self.device)).float().cpu().numpy()  # (B,)
                for rows in encoded.slices(batch_rows)
            ]
        logits: npt.NDArray[np.float32] = np.concatenate(parts)
        finite = np.isfinite(logits)
        if not finite.all():
            row = int(finite.argmin())
            raise CellError(
                f"the score must be a finite number; got {logits[row]}",
                row,
                self._extreme_number(encoded.numbers[row]),
            )
        return logits

    def _extreme_number(self, numbers: npt.NDArray[np.float32]) -> str:
        """Return which of a row's numbers may have made its score infinite."""
        if not np.isfinite(numbers).any():
            return "train again with a lower train.lr"
        index = int(np.nanargmax(np.abs(numbers)))
        name = self.layout.of_kind("numeric")[index].name
        return (
            f"column {name!r} is {numbers[index]:g} there after its transform; correct such rows, "
            "or train again with transform = 'quantile' or 'log2_monotone' in the schema"
        )

    def predict_source(
        self,
        source: Source,
        path: str | Path,
        batch_rows: int = 1024,
        *,
        safe_csv: bool = False,
    ) -> int:
        """Score a source of any length into a file, in flat memory.

        The file holds the key column, if the schema names one and the source has it, and
        ``prediction``; it appears only when it is complete.

        Args:
            source: Raw rows.
            path: ``.parquet`` or ``.csv``.
            batch_rows: Rows per forward pass.
            safe_csv: Keep spreadsheets from reading texts of a ``.csv`` file as formulas.

        Returns:
            The number of rows.

        Raises:
            DataError: The source has none of the schema's columns, or the file has another suffix.
        """
        path = Path(path)
        if path.suffix not in (".parquet", ".csv"):
            raise DataError(
                f"the file of predictions must end in .parquet or .csv; got {path.name!r}"
            )
        frames = self._frames(source, batch_rows)
        if safe_csv and path.suffix == ".csv":
            frames = map(without_formulas, frames)
        try:
            return _write(frames, path)
        except (pa.ArrowException, pl.exceptions.PanicException) as error:
            key = str(self.schema.key)  # of all columns, its type alone is not ours
            raise DataError(
                f"the key column {key!r} is of type {source.columns.get(key)}, which a "
                f"{path.suffix} file cannot hold; cast it, or leave it out"
            ) from error

    def _frames(self, source: Source, batch_rows: int) -> Iterator[pl.DataFrame]:
        """Yield frames of key and prediction; at least one, perhaps empty."""
        fields = self.columns_of_source(source)
        key = self.schema.key if self.schema.key in source.columns else None
        if key == PREDICTION:
            raise DataError(
                f"the key column must not be named {PREDICTION!r}, as the scores are: rename it, "
                "or leave it out of the rows to predict"
            )
        names = list(dict.fromkeys([*([key] if key else []), *fields]))
        empty, unseen = True, UnseenTally(self.layout)
        for chunk in source.chunks(names, CHUNK_ROWS):
            empty = False
            with source.locating(chunk):
                encoded = self.encode(chunk.frame)
                logits = self.encoded_logits(encoded, batch_rows)
            unseen.add(encoded)
            keys = [chunk.frame[key]] if key else []
            yield pl.DataFrame([*keys, pl.Series(PREDICTION, self._probabilities(logits))])
        if empty:
            types = {key: source.columns[key]} if key else {}
            yield pl.DataFrame(schema={**types, PREDICTION: pl.Float64})
        self.warn_of_unseen(unseen)

    def warn_of_unseen(self, unseen: UnseenTally) -> None:
        """Log a warning if the scored rows hold far more unseen values than validation did."""
        notice = unseen.notice(self.validation_unseen)
        if notice:
            logger.warning(notice)

    def _probabilities(self, logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        shifted = logits.astype(np.float64) + math.log(self.config.data.sampling_rate)
        return 1.0 / (1.0 + np.exp(-np.clip(shifted, -700, 700)))


def _write(frames: Iterator[pl.DataFrame], path: Path) -> int:
    """Write frames, at least one, to a file that appears when it is complete; return the rows."""
    tables = (frame.to_arrow(compat_level=pl.CompatLevel.oldest()) for frame in frames)
    first, rows = next(tables), 0
    with (
        atomic_path(path) as temporary,
        _writer(temporary, path.suffix, first.schema) as writer,
    ):
        for table in chain([first], tables):
            writer.write_table(table)
            rows += table.num_rows
    return rows


def _writer(
    path: Path, suffix: str, schema: pa.Schema
) -> pa.csv.CSVWriter | pa.parquet.ParquetWriter:
    if suffix == ".csv":
        return pa.csv.CSVWriter(path, schema)
    return pa.parquet.ParquetWriter(path, schema, compression="zstd")
