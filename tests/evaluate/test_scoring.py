"""Batches and raw rows get the same scores; predictions are written whole."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from encoded import fresh_predictor

from ctrkit.data.columns.labels import label_array
from ctrkit.data.read.sources import frame_source
from ctrkit.data.store.batch import Batch
from ctrkit.errors import DataError
from ctrkit.evaluate import Scores, save_predictions, score_batches, score_source


def batch_of(encoded, rows, label, **extra):
    part = encoded.take(rows)
    return Batch(part.codes, part.numbers, part.bags, label[rows], **extra)


def test_batches_score_like_raw_rows_in_eval_mode(messy):
    frame, schema = messy
    predictor = fresh_predictor(frame, schema, embedding_dropout=0.5)
    encoded = predictor.encode(frame)
    label = label_array(frame, schema)
    batches = [batch_of(encoded, rows, label) for rows in np.array_split(np.arange(300), 7)]
    model = predictor.model.train()
    scores = score_batches(model, iter(batches))
    assert model.training, "the mode is restored"
    assert scores.logit.dtype == np.float32
    np.testing.assert_allclose(scores.logit, predictor.logits(frame), atol=1e-6)
    np.testing.assert_array_equal(scores.label, frame["click"].to_numpy())
    assert scores.weight is scores.group is scores.row is None


def test_no_batches_score_to_empty_arrays(messy):
    scores = score_batches(fresh_predictor(*messy).model, [])
    assert (len(scores.logit), len(scores.label)) == (0, 0)


def test_score_source_has_label_and_group(messy):
    frame, schema = messy
    predictor = fresh_predictor(frame, schema)
    scores = score_source(predictor, frame_source(frame))
    np.testing.assert_allclose(scores.logit, predictor.logits(frame), atol=1e-6)
    assert len(np.unique(scores.group)) == frame["user"].n_unique()
    with pytest.raises(DataError, match="no label column 'click'"):
        score_source(predictor, frame_source(frame.drop("click")))


def test_predictions_file(tmp_path):
    scores = Scores(
        logit=np.array([0.5, -1], np.float32),
        label=np.array([1, 0], np.uint8),
        row=np.array([2**64 - 1, 7], np.uint64),
    )
    path = save_predictions(tmp_path, "test", scores)
    assert path == tmp_path / "predictions" / "test.parquet"
    frame = pl.read_parquet(path)
    assert frame.schema == {"row": pl.UInt64, "label": pl.UInt8, "logit": pl.Float32}
    assert frame.rows() == [(2**64 - 1, 1, 0.5), (7, 0, -1.0)]
    assert [p.name for p in path.parent.iterdir()] == ["test.parquet"]
