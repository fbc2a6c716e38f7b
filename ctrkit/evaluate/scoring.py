"""Logits and labels of batches or of raw rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from ctrkit.bundle.inputs import model_inputs
from ctrkit.bundle.predictor import Predictor
from ctrkit.data.columns.groups import group_array
from ctrkit.data.columns.labels import label_array
from ctrkit.data.columns.weights import check_total, weight_array
from ctrkit.data.encode.unseen import UnseenTally
from ctrkit.data.read.sources import Source
from ctrkit.data.store.batch import Batch
from ctrkit.errors import DataError, nearest
from ctrkit.files import atomic_path
from ctrkit.metrics.mapped import MappedColumn
from ctrkit.models.model import Model


@dataclass(frozen=True)
class Scores:
    """Scored rows, in order.

    Attributes:
        logit: ``(n,)`` float32, not corrected for down-sampling.
        label: ``(n,)`` uint8.
        weight: ``(n,)`` float32, where rows have weights.
        group: ``(n,)`` uint64 hashes, where the schema has a group.
        row: ``(n,)`` uint64 stable row hashes, where known.
    """

    logit: npt.NDArray[np.float32]
    label: npt.NDArray[np.uint8]
    weight: npt.NDArray[np.float32] | None = None
    group: npt.NDArray[np.uint64] | None = None
    row: npt.NDArray[np.uint64] | None = None


def score_batches(model: Model, batches: Iterable[Batch]) -> Scores:
    """Score batches in evaluation mode, without gradients; the model's mode is restored.

    Args:
        model: Codes -> logits; it computes where its weights are.
        batches: One pass over a split.
    """
    device = next(model.parameters()).device
    columns = _Columns()
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for batch in batches:
                inputs = model_inputs(batch, device)
                logit = model(*inputs).float().cpu().numpy()  # (B,)
                columns.add(Scores(logit, batch.label, batch.weight, batch.group, batch.row))
    finally:
        model.train(training)
    return columns.scores()


def score_source(predictor: Predictor, source: Source, batch_rows: int = 4096) -> Scores:
    """Score labelled raw rows; memory grows only by the scores.

    Args:
        predictor: The run.
        source: Raw rows with the label; weights and groups are read where they are there.
        batch_rows: Rows per forward pass.

    Raises:
        DataError: The source has no label column, or a label, weight or group cannot be read,
            or all weights are zero.
    """
    schema = predictor.schema
    check_label(predictor, source)
    roles = (schema.label, schema.weight, schema.group)
    names = [
        *predictor.columns_of_source(source),
        *(column for column in roles if column is not None and column in source.columns),
    ]
    columns, unseen = _Columns(), UnseenTally(predictor.layout)
    for chunk in source.chunks(names):
        frame = chunk.frame
        with source.locating(chunk):
            encoded = predictor.encode(frame)
            columns.add(
                Scores(
                    logit=predictor.encoded_logits(encoded, batch_rows),
                    label=label_array(frame, schema, chunk.first_row),
                    weight=weight_array(frame, schema, chunk.first_row),
                    group=group_array(frame, schema),
                )
            )
        unseen.add(encoded)
    predictor.warn_of_unseen(unseen)
    scores = columns.scores()
    if scores.weight is not None:
        check_total(float(scores.weight.sum(dtype=np.float64)), schema, "rows to evaluate")
    return scores


def check_label(predictor: Predictor, source: Source) -> None:
    """Refuse a source without the label column of a run.

    Raises:
        DataError: The column is not there.
    """
    label = predictor.schema.label
    if label is None or label not in source.columns:
        hint = nearest(str(label), source.columns)
        raise DataError(
            f"the rows have no label column {label!r}{hint}; evaluation needs the label"
        )


def save_predictions(folder: Path, split: str, scores: Scores) -> Path:
    """Write ``predictions/<split>.parquet``: ``row, label, weight, group, logit``.

    ``row``, ``weight`` and ``group`` are left out where they are not known.
    """
    columns = {
        "row": scores.row,
        "label": scores.label,
        "weight": scores.weight,
        "group": scores.group,
        "logit": scores.logit,
    }
    path = folder / "predictions" / f"{split}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: pa.array(values) for name, values in columns.items() if values is not None}
    with atomic_path(path) as temporary:  # Arrow takes the arrays as they are, uncopied
        pq.write_table(
            pa.table(arrays),
            temporary,
            row_group_size=131_072,
            compression="zstd",
            use_dictionary=False,
        )
    return path


class _Columns:
    """The columns of :class:`Scores`, in growing arrays."""

    def __init__(self) -> None:
        self._logit, self._label = MappedColumn(np.float32), MappedColumn(np.uint8)
        self._weight, self._group = MappedColumn(np.float32), MappedColumn(np.uint64)
        self._row = MappedColumn(np.uint64)

    def add(self, part: Scores) -> None:
        """Add rows."""
        self._logit.add(part.logit)
        self._label.add(part.label)
        self._weight.add(part.weight)
        self._group.add(part.group)
        self._row.add(part.row)

    def scores(self) -> Scores:
        """Return all rows; weights, groups and row hashes where they are known."""
        logit, label = self._logit.array(), self._label.array()
        if not len(logit):
            return Scores(logit, label)
        return Scores(logit, label, self._weight.array(), self._group.array(), self._row.array())
