"""A bundle scores raw rows as the model scores their shards and batches."""

import numpy as np
import polars as pl

from ctrkit.bundle import load, save_inputs, save_weights
from ctrkit.config.files import make_config
from ctrkit.data.read.sources import frame_source
from ctrkit.data.split.base import SPLITS
from ctrkit.data.split.plan import plan_split
from ctrkit.data.store.batches import Batches
from ctrkit.data.store.dataset import EncodeOptions, prepare_dataset
from ctrkit.evaluate import score_batches
from ctrkit.models.build import build_model
from ctrkit.models.resolve import resolve_model
from ctrkit.schema import Field, Schema
from ctrkit.testing.generated import planted_clicks

SCHEMA = Schema(
    (
        Field("site", "categorical"),
        Field("user", "categorical", encoding="hash"),
        Field("age", "numeric"),
        Field("price", "numeric", transform="quantile", bins=8),
        Field("interests", "multi"),
    ),
    label="click",
)


def test_bundle_on_raw_rows_equals_model_on_batches(tmp_path):
    frame, _ = planted_clicks(3_000, seed=5)
    source = frame_source(frame)
    config = make_config({"model": {"name": "autoint+", "rows": 997}})
    config = config.model_copy(update={"model": resolve_model(config.model)})
    dataset = prepare_dataset(
        source, SCHEMA, EncodeOptions(cache=tmp_path / "cache", cache_limit=10**9)
    )
    model = build_model(config.model, dataset.layout, seed=0)
    for table in model.tables.values():
        table.weight.data.mul_(30)  # far from zero, so that wrong rows give wrong scores
    save_inputs(tmp_path / "run", config, dataset.encoder, dataset.layout)
    save_weights(tmp_path / "run", model, dataset.layout)
    predictor = load(tmp_path / "run")

    plan = plan_split(source, SCHEMA, seed=0)
    parts = pl.Series(np.concatenate([plan.assign(chunk) for chunk in source.chunks()]))
    for split in ("validation", "test"):
        rows = frame.filter(parts == SPLITS.index(split))
        scores = score_batches(model, Batches(dataset.shards, split, 64, shuffle=False).epoch(0))
        assert len(scores.logit) == rows.height > 100
        np.testing.assert_array_equal(scores.label, rows["click"].to_numpy())
        np.testing.assert_allclose(predictor.logits(rows), scores.logit, atol=1e-6)
        single = [predictor.logits(rows[n : n + 1])[0] for n in range(5)]
        np.testing.assert_allclose(single, scores.logit[:5], atol=1e-6)
