"""Explanations of raw rows, and whether they find what was planted."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch
from encoded import fresh_predictor

from ctrkit.data.columns.labels import label_array
from ctrkit.data.read.sources import frame_source
from ctrkit.errors import DataError
from ctrkit.evaluate import explain_source, explanation_text
from ctrkit.evaluate.sample import sample_rows
from ctrkit.schema import Field, Schema
from ctrkit.testing.generated import xor_fields


def test_sample_is_uniform_seeded_and_in_order():
    frame = pl.DataFrame({"x": range(10_000)})
    source = frame_source(frame)
    one, again = (sample_rows(source, ["x"], 500, seed=3) for _ in range(2))
    assert one.equals(again)
    assert one.height == one["x"].n_unique() == 500
    assert one["x"].is_sorted()
    assert abs(one["x"].mean() - 5_000) < 500
    assert sample_rows(source, ["x"], 20_000, seed=3).equals(frame)


def test_explanation_of_a_messy_source(messy):
    frame, schema = messy
    predictor = fresh_predictor(frame, schema)
    found = explain_source(predictor, frame_source(frame), top=3, repeats=2, min_support=5)
    json.dumps(found, allow_nan=False)
    assert found["rows"] == 300
    assert found["fields"] == ["site", "ad", "age", "interests"]
    maps = np.array(found["attention"]["maps"])
    np.testing.assert_allclose(maps.sum(axis=-1), 1.0, atol=1e-5)
    assert len(found["attention"]["pairs"]) == 6
    assert {*found["attention"]["values"][0]} == {
        "fields",
        "values",
        "lift",
        "support",
        "label_rate",
    }
    assert all(row["support"] >= 5 for row in found["attention"]["values"])
    assert (found["ablation"]["evaluated"], found["ablation"]["not_evaluated"]) == (3, 3)
    assert "not attribution" in found["caveats"]
    text = explanation_text(found, 3)
    assert "site" in text
    assert "3 others were not evaluated" in text


def test_values_are_decoded(messy):
    frame, schema = messy
    found = explain_source(
        fresh_predictor(frame, schema), frame_source(frame), repeats=1, min_support=2
    )
    seen = {
        (f, v)
        for r in found["attention"]["values"]
        for f, v in zip(r["fields"], r["values"], strict=True)
    }
    sites = {v for f, v in seen if f == "site"}
    assert sites & {*frame["site"]}
    assert {v for f, v in seen if f == "age"} <= {
        "lowest quarter",
        "second quarter",
        "third quarter",
        "highest quarter",
        "(missing)",
    }


def test_a_model_without_attention_is_explained_by_ablation(messy):
    frame, schema = messy
    predictor = fresh_predictor(frame, schema, name="fm")
    found = explain_source(predictor, frame_source(frame), repeats=1, top=2)
    assert found["attention"] is None
    assert found["ablation"]["chosen_by"] == "importance"
    assert "ttention" not in found["caveats"], "the model has none"
    assert "permuted together" in found["caveats"]
    assert len(found["importance"]) == 4
    assert explanation_text(found)


def test_no_rows_is_an_error(messy):
    frame, schema = messy
    with pytest.raises(DataError, match="no row"):
        explain_source(fresh_predictor(frame, schema), frame_source(frame[:0]))


def xor_schema():
    fields = tuple(Field(f"f{i}", "categorical") for i in range(10))
    return Schema(fields, label="label")


def train_by_hand(predictor, frame, epochs, lr=1e-3, batch=1024, seed=0):
    """Plain Adam on codes: what the training room does, without it."""
    torch.manual_seed(seed)
    codes = torch.from_numpy(predictor.encode(frame).codes.astype(np.int64))
    label = torch.tensor(label_array(frame, predictor.schema).tolist(), dtype=torch.float32)
    numbers = torch.empty(len(codes), 0)
    model = predictor.model.train()
    adam = torch.optim.Adam(model.parameters(), lr=lr)
    for _ in range(epochs):
        for rows in torch.randperm(len(codes)).split(batch):
            logits = model(codes[rows], numbers[rows], ())  # (B,)
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, label[rows])
            adam.zero_grad()
            loss.backward()
            adam.step()
    model.eval()


def xor_ranks(rows, epochs, seed, lr=1e-3, batch=1024, top=45, **model):
    """Train AutoInt on XOR rows; return the ranks of (3, 7) by ablation and by attention."""
    frame, _ = xor_fields(rows, seed)
    cut = rows * 4 // 5
    predictor = fresh_predictor(frame[:cut], xor_schema(), **model)
    train_by_hand(predictor, frame[:cut], epochs, lr=lr, batch=batch, seed=seed)
    source = frame_source(frame[cut:])
    found = explain_source(predictor, source, rows=5_000, top=top, seed=seed)
    ranks = [
        next(pair["rank"] for pair in found[how]["pairs"] if {*pair["fields"]} == {"f3", "f7"})
        for how in ("ablation", "attention")
    ]
    return SimpleNamespace(ablation=ranks[0], attention=ranks[1], logloss=found["logloss"])


def test_ablation_finds_the_planted_pair():
    """XOR of two of ten fields, small: fewer rows and epochs, a higher rate."""
    found = xor_ranks(5_000, epochs=5, seed=0, lr=3e-3, batch=256, top=15, attention={"layers": 1})
    assert found.logloss < 0.45
    assert found.ablation == 1


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_planted_pair_over_seeds():
    """XOR of two of ten fields, 50,000 rows."""
    found = [xor_ranks(50_000, epochs=5, seed=seed) for seed in range(5)]
    assert sum(f.ablation == 1 for f in found) >= 4, found
    assert sum(f.attention <= 3 for f in found) >= 4, found
