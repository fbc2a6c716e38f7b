"""Logits beside labels, of batches or of raw rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from ctrkit.bundle.inputs import model_inputs
from ctrkit.bundle.predictor import Predictor
from ctrkit.data.columns.groups import group_array
from ctrkit.data.columns.labels import label_array
from ctrkit.data.columns.weights import weight_array
from ctrkit.data.read.sources import Source
from ctrkit.data.store.batches import Batch
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


def score_batches(
    model: Model, batches: Iterable[Batch], device: torch.device | str | None = None
) -> Scores:
    """Score batches in evaluation mode, without gradients.

    The model is left in the mode in which it came.

    Args:
        model: Codes -> logits.
        batches: One pass over a split.
        device: Where to compute; None: where the model is.
    """
    place = next(model.parameters()).device if device is None else torch.device(device)
    columns = _Columns()
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for batch in batches:
                inputs = model_inputs(batch.codes, batch.numbers, batch.bags, place)
                logit = model(*inputs).float().cpu().numpy()  # (B,)
                columns.add(
                    logit=logit,
                    label=batch.label,
                    weight=batch.weight,
                    group=batch.group,
                    row=batch.row,
                )
    finally:
        model.train(training)
    return columns.scores()


def score_source(predictor: Predictor, source: Source, batch_rows: int = 4096) -> Scores:
    """Score labelled raw rows; memory grows only by the scores.

    Raises:
        DataError: The source has no label column, or a label is neither 0 nor 1.
    """
    schema = predictor.schema
    check_label(predictor, source)
    fields = predictor.columns(source.columns)
    roles = (schema.label, schema.weight, schema.group)
    names = [*fields, *(c for c in roles if c is not None and c in source.columns)]
    columns = _Columns()
    for chunk in source.chunks(list(dict.fromkeys(names))):
        frame = chunk.frame
        columns.add(
            logit=predictor.encoded_logits(predictor.encode(frame), batch_rows),
            label=label_array(frame, schema, chunk.first_row),
            weight=weight_array(frame, schema, chunk.first_row),
            group=group_array(frame, schema),
            row=None,
        )
    return columns.scores()


def check_label(predictor: Predictor, source: Source) -> None:
    """Refuse a source without the label column of a run."""
    label = predictor.schema.label
    if label is None or label not in source.columns:
        hint = nearest(str(label), source.columns)
        raise DataError(f"the rows have no label column {label!r}{hint}; judging needs one")


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
    known = {name: pa.array(values) for name, values in columns.items() if values is not None}
    with atomic_path(path) as beside:  # Arrow takes the arrays as they are, uncopied
        pq.write_table(
            pa.table(known),
            beside,
            row_group_size=131_072,
            compression="zstd",
            use_dictionary=False,
        )
    return path


class _Columns:
    """The columns of :class:`Scores`, part by part."""

    def __init__(self) -> None:
        self._columns = {
            "logit": MappedColumn(np.float32),
            "label": MappedColumn(np.uint8),
            "weight": MappedColumn(np.float32),
            "group": MappedColumn(np.uint64),
            "row": MappedColumn(np.uint64),
        }

    def add(self, **parts: npt.NDArray[Any] | None) -> None:
        """Add rows."""
        for name, part in parts.items():
            self._columns[name].add(part)

    def scores(self) -> Scores:
        """Return all rows; weights, groups and row hashes where they are known."""
        known = {name: column.array() for name, column in self._columns.items()}
        optional = ("weight", "group", "row")
        if not len(known["logit"]):
            known |= dict.fromkeys(optional)
        return Scores(**known)
