"""Scores of batches, and explanations that find what was planted."""

import json
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch

from ctrkit.bundle import Predictor
from ctrkit.config.files import make_config
from ctrkit.data.columns.labels import label_array
from ctrkit.data.encode.counts import Counts
from ctrkit.data.encode.encoder import Encoded, Encoder
from ctrkit.data.read.sources import frame_source
from ctrkit.data.store.batches import Batch
from ctrkit.errors import DataError
from ctrkit.evaluate import (
    Scores,
    ablate,
    explain_rows,
    explain_source,
    explanation_text,
    save_predictions,
    score_batches,
    score_source,
)
from ctrkit.evaluate.ablation import permuted, take_rows
from ctrkit.evaluate.attention import pair_scores, pair_table, rollout, value_table
from ctrkit.evaluate.explain import pairs_by_importance, sample_rows
from ctrkit.layout import Layout, LayoutField
from ctrkit.models.build import build_model, resolve_model
from ctrkit.schema import Field, Schema
from ctrkit.testing.generated import planted_clicks, xor_fields

LAYOUT = Layout(
    (
        LayoutField("a", "categorical", 9),
        LayoutField("b", "categorical", 9),
        LayoutField("n", "numeric", 0),
        LayoutField("m", "multi", 9),
    )
)


def encoded_rows(rows, seed=0):
    draw = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(draw.integers(0, 4, rows))]).astype(np.int64)
    return Encoded(
        codes=draw.integers(0, 9, (rows, 2)).astype(np.uint32),
        numbers=draw.normal(size=(rows, 1)).astype(np.float32),
        bags=((draw.integers(0, 9, offsets[-1]).astype(np.uint32), offsets),),
    )


def rows_of(encoded):
    """Rows as plain tuples, to compare with by hand."""
    tokens, offsets = encoded.bags[0]
    return [
        (*codes, *numbers, tuple(tokens[offsets[n] : offsets[n + 1]]))
        for n, (codes, numbers) in enumerate(zip(encoded.codes, encoded.numbers, strict=True))
    ]


def xor_schema():
    fields = tuple(Field(f"f{i}", "categorical") for i in range(10))
    return Schema(fields, label="label")


def fresh_predictor(frame, schema, **model):
    """An untrained model over an encoder that is fitted on all rows."""
    config = make_config({"model": {"name": "autoint", **model}})
    config = config.model_copy(update={"model": resolve_model(config.model)})
    counts = Counts(schema)
    counts.update(frame)
    encoder = Encoder.fit(schema, counts)
    layout = encoder.layout()
    return Predictor(config, encoder, layout, build_model(config.model, layout, seed=0))


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


# -- scoring


def batch_of(encoded, rows, label, **extra):
    part = take_rows(encoded, rows)
    bags = tuple((tokens, np.diff(offsets)) for tokens, offsets in part.bags)
    names = {"weight": None, "group": None, "row": None, **extra}
    return Batch(codes=part.codes, numbers=part.numbers, bags=bags, label=label[rows], **names)


@pytest.fixture
def messy():
    frame, _ = planted_clicks(300, seed=1)
    fields = (
        Field("site", "categorical"),
        Field("ad", "categorical"),
        Field("age", "numeric"),
        Field("interests", "multi"),
    )
    return frame, Schema(fields, label="click", group="user")


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


# -- ablation


@pytest.mark.parametrize("rows", [0, 1, 6])
def test_permuting_moves_only_the_named_fields(rows):
    encoded = encoded_rows(rows)
    order = np.random.default_rng(1).permutation(rows)
    before = rows_of(encoded)
    for fields in ([0], [2], [3], [1, 3], [0, 1, 2, 3]):
        after = rows_of(permuted(encoded, LAYOUT, fields, order))
        expected = [
            tuple(before[order[n] if f in fields else n][f] for f in range(4)) for n in range(rows)
        ]
        assert after == expected
    assert rows_of(encoded) == before, "the rows themselves are untouched"
    assert rows_of(take_rows(encoded, order)) == [before[n] for n in order]


def test_ablation_tells_synergy_from_additive_from_nothing():
    """XOR of a and b (synergy), n alone (additive), m nothing."""
    draw = np.random.default_rng(0)
    rows = 20_000
    encoded = encoded_rows(rows)
    codes = draw.integers(3, 5, (rows, 2)).astype(np.uint32)
    encoded = Encoded(codes=codes, numbers=encoded.numbers, bags=encoded.bags)

    def score(e):
        return (2.0 * ((e.codes[:, 0] ^ e.codes[:, 1]) & 1) - 1 + e.numbers[:, 0]).astype("f4")

    label = (draw.random(rows) < 1 / (1 + np.exp(-score(encoded)))).astype(np.uint8)
    every = [(m, k) for m in range(4) for k in range(m + 1, 4)]
    found = ablate(score, encoded, label, LAYOUT, choose=lambda single: every, repeats=2)
    scores = dict(zip(every, found.scores.mean(axis=1), strict=True))
    single = found.single.mean(axis=1)
    assert min(scores, key=scores.get) == (0, 1)
    assert scores[0, 1] == pytest.approx(-found.joint[0].mean(), rel=0.1)
    assert abs(scores[0, 2]) < 0.2 * abs(scores[0, 1])
    assert scores[0, 3] == scores[2, 3] == 0.0
    assert single[3] == 0.0
    assert single[:3].min() > 0.05


def test_ablation_of_no_pairs():
    found = ablate(
        lambda e: e.numbers[:, 0],
        encoded_rows(5),
        np.array([0, 1, 0, 1, 1], np.uint8),
        LAYOUT,
        choose=lambda single: [],
    )
    assert found.scores.shape == (0, 2)


def test_pairs_by_importance_puts_two_strong_fields_first():
    assert pairs_by_importance(np.array([0.1, 0.0, 0.5, 0.3]))[:2] == [(2, 3), (0, 2)]


# -- attention


def test_uniform_maps_have_lift_one_everywhere():
    table = pair_table(np.full((3, 4, 4), 0.25), "abcd")
    assert len(table) == 6
    for pair in table:
        assert pair["lift"] == pytest.approx([1.0] * 3)
        assert pair["rollout"] == pytest.approx(1.0)


def test_pair_scores_and_rollout_by_hand():
    first = np.array([[0.7, 0.3], [0.1, 0.9]])
    second = np.array([[0.0, 1.0], [1.0, 0.0]])
    np.testing.assert_allclose(pair_scores(first), [[0, 0.2], [0.2, 0]])
    eye = np.eye(2)
    np.testing.assert_allclose(
        rollout(np.stack([first, second])), (second + eye) @ (first + eye) / 4
    )
    np.testing.assert_allclose(rollout(np.stack([first, second])).sum(axis=1), 1.0)


def test_pair_table_ranks_by_layer_one():
    maps = np.full((1, 3, 3), 1 / 3)
    maps[0, 2] = [0.8, 0.1, 0.1]
    table = pair_table(maps, ["a", "b", "c"])
    assert [pair["rank"] for pair in table] == [1, 2, 3]
    assert table[0]["fields"] == ["a", "c"]
    assert table[0]["lift"] == pytest.approx([3 * (0.8 + 1 / 3) / 2])


def test_value_table_averages_over_rows_that_hold_both_values():
    scores = np.array([0.2, 0.4, 0.6, 0.8])
    label = np.array([0, 1, 1, 1], np.uint8)
    one = pl.DataFrame({"row": [0, 1, 2, 3], "value": ["x", "x", "x", "y"]})
    bag = pl.DataFrame({"row": [0, 0, 1, 3], "value": ["p", "q", "p", "p"]})
    found = value_table(scores, label, one, bag, fields=("u", "v"), count=2, min_support=2)
    assert len(found) == 1, "pairs below the support are left out"
    assert found[0]["values"] == ["x", "p"]
    assert found[0]["support"] == 2
    assert found[0]["lift"] == pytest.approx(2 * 0.3)
    assert found[0]["label_rate"] == pytest.approx(0.5)


# -- the whole explanation


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
    with pytest.raises(DataError, match="no attention"):
        explain_rows(predictor, frame[:1])


def test_single_rows_are_explained(messy):
    frame, schema = messy
    predictor = fresh_predictor(frame, schema)
    found = explain_rows(predictor, frame[:2], top=1)
    assert len(found) == 2
    assert found[1]["prediction"] == pytest.approx(predictor.predict(frame[1:2])[0])
    maps = np.array(found[0]["maps"])
    assert maps.shape[-2:] == (4, 4)
    assert len(found[0]["pairs"]) == 1
    assert explain_rows(predictor, frame[:0]) == []


def test_no_rows_is_an_error(messy):
    frame, schema = messy
    with pytest.raises(DataError, match="no row"):
        explain_source(fresh_predictor(frame, schema), frame_source(frame[:0]))


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
    """Source: methods.md 2.11-7, small: fewer rows and epochs, a higher rate."""
    found = xor_ranks(5_000, epochs=5, seed=0, lr=3e-3, batch=256, top=15, attention={"layers": 1})
    assert found.logloss < 0.45
    assert found.ablation == 1


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_planted_pair_over_seeds():
    """Source: methods.md 2.11-7."""
    found = [xor_ranks(50_000, epochs=5, seed=seed) for seed in range(5)]
    assert sum(f.ablation == 1 for f in found) >= 4, found
    assert sum(f.attention <= 3 for f in found) >= 4, found
