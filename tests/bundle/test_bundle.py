"""A bundle takes raw rows of any type and refuses what it cannot trust."""

import json

import numpy as np
import polars as pl
import pytest
from safetensors.torch import load_file, save_file

from ctrkit.bundle import load, save_inputs, save_weights
from ctrkit.config.files import make_config
from ctrkit.data.encode.counts import Counts
from ctrkit.data.encode.encoder import Encoder
from ctrkit.data.read.sources import frame_source, open_source
from ctrkit.errors import DataError, RunFolderError
from ctrkit.models.build import build_model
from ctrkit.models.resolve import resolve_model
from ctrkit.schema import Field, Schema
from ctrkit.testing.generated import planted_clicks

SCHEMA = Schema(
    (
        Field("site", "categorical"),
        Field("ad", "categorical", min_count=3),
        Field("user", "categorical", encoding="hash"),
        Field("age", "numeric"),
        Field("price", "numeric", transform="quantile", bins=4),
        Field("interests", "multi"),
        Field("number", "categorical"),
    ),
    label="click",
    key="user",
)


def some_rows(rows=400, seed=0):
    frame, _ = planted_clicks(rows, seed)
    return frame.with_columns(number=pl.int_range(pl.len()) % 7)


def save(folder, frame, schema=SCHEMA, plugins=(), **sections):
    config = make_config(
        {"model": {"name": "autoint+"}, "train": {"seed": 1}, **sections, "plugins": list(plugins)}
    )
    config = config.model_copy(update={"model": resolve_model(config.model)})
    counts = Counts(schema)
    counts.update(frame)
    encoder = Encoder.fit(schema, counts)
    layout = encoder.layout()
    model = build_model(config.model, layout, seed=1)
    for table in model.tables.values():
        table.weight.data.mul_(30)  # far from zero, so that wrong rows give wrong scores
    save_inputs(folder, config, encoder, layout)
    save_weights(folder, model, layout)
    return model


@pytest.fixture(scope="module")
def frame():
    return some_rows()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, frame):
    place = tmp_path_factory.mktemp("bundles") / "run"
    save(place, frame)
    return place


@pytest.fixture(scope="module")
def predictor(folder):
    return load(folder)


def copied(folder, tmp_path):
    import shutil

    return shutil.copytree(folder, tmp_path / "run")


# -- raw rows


def test_scores_are_the_same_for_every_input_type(predictor, frame):
    expected = predictor.predict(frame)
    assert expected.shape == (400,)
    assert expected.std() > 0.01
    for data in (frame.to_arrow(), frame.to_dicts(), frame.to_dict(as_series=False)):
        np.testing.assert_allclose(predictor.predict(data), expected, atol=1e-6)
    pandas = frame.to_pandas()
    np.testing.assert_allclose(predictor.predict(pandas), expected, atol=1e-6)
    np.testing.assert_allclose(
        predictor.predict(frame.select(reversed(frame.columns)).drop("click")), expected, atol=1e-6
    )


def test_single_rows_score_like_a_batch(predictor, frame):
    expected = predictor.predict(frame)
    one_by_one = [predictor.predict(frame[n : n + 1])[0] for n in range(20)]
    np.testing.assert_allclose(one_by_one, expected[:20], atol=1e-6)
    np.testing.assert_allclose(predictor.predict(frame, batch_rows=7), expected, atol=1e-6)


def test_castable_types(predictor, frame):
    expected = predictor.logits(frame)
    cast = frame.with_columns(
        pl.col("site").cast(pl.Categorical),
        pl.col("age").cast(pl.Float32),
        pl.col("price").cast(pl.String),
        pl.col("number").cast(pl.String),
    )
    np.testing.assert_allclose(predictor.logits(cast), expected, atol=1e-6)


def test_new_values_nulls_and_absent_columns_score(predictor, frame):
    odd = frame.with_columns(site=pl.lit("never seen"), age=pl.lit(None, pl.Float64), ad=None)
    assert np.isfinite(predictor.logits(odd)).all()
    nulls = frame.with_columns(interests=pl.lit(None, pl.List(pl.String)), price=None)
    absent = frame.drop("interests", "price")
    np.testing.assert_array_equal(predictor.logits(nulls), predictor.logits(absent))


@pytest.mark.parametrize("data", [[], {}, pl.DataFrame(), some_rows(0)])
def test_no_rows_give_no_scores(predictor, data):
    assert predictor.predict(data).shape == (0,)


def test_rows_without_any_column_of_the_schema_are_refused(predictor):
    with pytest.raises(DataError, match=r"some of the model's columns \(site, ad"):
        predictor.predict([{"x": 1}])


def test_sampling_rate_corrects_the_odds(tmp_path, frame):
    save(tmp_path / "run", frame, data={"sampling_rate": 0.1})
    predictor = load(tmp_path / "run")
    logit = predictor.logits(frame).astype(np.float64)
    odds = predictor.predict(frame) / (1 - predictor.predict(frame))
    np.testing.assert_allclose(odds, 0.1 * np.exp(logit), rtol=1e-6)


# -- files


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_predict_source_writes_key_and_prediction(predictor, frame, tmp_path, suffix):
    out = tmp_path / f"scores{suffix}"
    frame.write_parquet(tmp_path / "rows.parquet")
    assert predictor.predict_source(open_source(tmp_path / "rows.parquet"), out) == 400
    read = pl.read_parquet if suffix == ".parquet" else pl.read_csv
    scores = read(out)
    assert scores.columns == ["user", "prediction"]
    assert scores["user"].to_list() == frame["user"].to_list()
    np.testing.assert_allclose(scores["prediction"], predictor.predict(frame), atol=1e-6)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["rows.parquet", f"scores{suffix}"]


def test_predict_source_of_no_rows_and_without_the_key(predictor, frame, tmp_path):
    out = tmp_path / "scores.parquet"
    assert predictor.predict_source(frame_source(frame[:0]), out) == 0
    assert pl.read_parquet(out).columns == ["user", "prediction"]
    assert predictor.predict_source(frame_source(frame.drop("user")), out) == 400
    assert pl.read_parquet(out).columns == ["prediction"]


def test_failed_prediction_leaves_the_earlier_file(predictor, frame, tmp_path):
    out = tmp_path / "scores.parquet"
    out.write_text("old")
    broken = frame.with_columns(age=pl.lit("forty"))
    with pytest.raises(DataError, match="age"):
        predictor.predict_source(frame_source(broken), out)
    assert out.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["scores.parquet"]


# -- the folder


def test_the_folder_holds_plain_files_only(folder):
    names = {p.name for p in folder.iterdir()}
    assert names == {
        "config.json",
        "schema.toml",
        "layout.json",
        "encoder",
        "model.safetensors",
        "checksums.json",
    }
    assert not [p for p in folder.rglob("*") if p.suffix in (".pkl", ".pt", ".pth", ".bin")]
    assert json.loads((folder / "config.json").read_text())["model"]["name"] == "autoint+"


def test_saving_twice_replaces_the_bundle(folder, frame, tmp_path):
    place = copied(folder, tmp_path)
    save(place, frame, model={"name": "lr"})
    assert load(place).config.model.name == "lr"


def test_table_rows_without_training_rows_are_zero(tmp_path, frame):
    schema = Schema((Field("site", "categorical", min_count=1),), label="click")
    model = save(tmp_path / "run", frame.with_columns(site=pl.col("site").fill_null("x")), schema)
    predictor = load(tmp_path / "run")
    reads = predictor.model.embed(*_codes([0, 1, 3]))["fields"]  # (3, 1, D)
    assert reads[:2].abs().sum() == 0
    assert reads[2].abs().sum() > 0
    assert model.embed(*_codes([1]))["fields"].abs().sum() == 0, "the trained model too"


def _codes(codes):
    import torch

    return torch.tensor(codes)[:, None], torch.empty(len(codes), 0), ()


@pytest.mark.parametrize(
    "part", ["config.json", "schema.toml", "layout.json", "encoder", "model.safetensors"]
)
def test_incomplete_folder_is_refused(folder, tmp_path, part):
    place = copied(folder, tmp_path)
    (place / part).rename(tmp_path / "elsewhere")
    with pytest.raises(RunFolderError, match=f"incomplete: it has no {part}"):
        load(place)


def test_path_that_is_not_a_run_folder_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    for name, match in (
        ("none", "does not exist"),
        ("file", "is a file"),
        (".", "not a run"),
    ):
        with pytest.raises(RunFolderError, match=match):
            load(tmp_path / name)


def test_folder_of_a_ranking_is_not_an_incomplete_run(tmp_path):
    (tmp_path / "schema.toml").write_text("format = 1\n")
    with pytest.raises(RunFolderError, match=r"not a run folder: it has no config\.json"):
        load(tmp_path)


def test_damaged_parts_are_one_line_errors(folder, tmp_path):
    for number, (part, text) in enumerate(
        [
            ("config.json", '{"model": {"nam": 1}}'),
            ("config.json", "{"),
            ("layout.json", "{}"),
            ("layout.json", "nonsense"),
            ("schema.toml", "= ="),
            ("model.safetensors", "short"),
        ]
    ):
        place = copied(folder, tmp_path / str(number))
        (place / part).write_text(text)
        with pytest.raises(RunFolderError) as caught:
            load(place)
        assert "\n" not in str(caught.value)


def test_a_flipped_byte_of_weights_or_encoder_names_the_file(folder, tmp_path):
    encoder = [p for p in (folder / "encoder").rglob("*") if p.is_file()]
    for number, path in enumerate([folder / "model.safetensors", *encoder]):
        place = copied(folder, tmp_path / str(number))
        name = path.relative_to(folder)
        content = bytearray((place / name).read_bytes())
        content[-1] ^= 1
        (place / name).write_bytes(content)
        with pytest.raises(RunFolderError) as caught:
            load(place)
        assert "\n" not in str(caught.value)
        assert str(place) in str(caught.value)
        if path.suffix != ".json":  # JSON that cannot be read says so
            assert f"{str(place / name)!r} is damaged" in str(caught.value)


def test_a_folder_of_an_earlier_version_has_no_checksums_and_is_read(folder, tmp_path):
    place = copied(folder, tmp_path)
    (place / "checksums.json").unlink()
    load(place)


def test_unknown_format_is_refused(folder, tmp_path):
    place = copied(folder, tmp_path)
    (place / "checksums.json").unlink()
    layout = json.loads((place / "layout.json").read_text())
    (place / "layout.json").write_text(json.dumps({**layout, "format": 99}))
    with pytest.raises(RunFolderError, match="format 99; this ctrkit reads 1"):
        load(place)


def test_weights_that_do_not_fit_are_refused(folder, tmp_path):
    place = copied(folder, tmp_path)
    (place / "checksums.json").unlink()
    weights = load_file(place / "model.safetensors")
    name = sorted(weights)[0]
    for change in (
        {k: v for k, v in weights.items() if k != name},
        {**weights, "surplus": weights[name].clone()},
        {**weights, name: weights[name].flatten()[:1].clone()},
    ):
        save_file(change, place / "model.safetensors", metadata={"format": "1"})
        with pytest.raises(RunFolderError, match="does not fit the model"):
            load(place)
    save_file(weights, place / "model.safetensors", metadata={"format": "2"})
    with pytest.raises(RunFolderError, match="format '2'"):
        load(place)


PLUGIN = '''
from torch import nn
from ctrkit import interaction

@interaction("bundle_test_sum")
class BundleTestSum(nn.Module):
    """Sum of everything."""

    def __init__(self, fields: int, dim: int, *, scale: float = 1.0) -> None:
        super().__init__()
        self.scale, self.out_dim = scale, 1
        self.bias = nn.Parameter(nn.init.zeros_(nn.Linear(1, 1).weight[0]))

    def forward(self, x):
        return self.scale * x.sum(dim=(1, 2))[:, None] + self.bias  # (B, 1)
'''


def test_plugins_need_consent_and_must_be_unchanged(tmp_path, frame):
    from ctrkit.registry import load_plugin

    file = tmp_path / "mine.py"
    file.write_text(PLUGIN)
    load_plugin(file)
    place = tmp_path / "run"
    save(place, frame, plugins=[str(file)], model={"name": "bundle_test_sum"})
    file.unlink()
    with pytest.raises(RunFolderError, match="--trust-plugins"):
        load(place)
    assert load(place, trust_plugins=True).predict(frame).shape == (400,)
    copy = next((place / "plugins").glob("*mine.py"))
    copy.write_text(PLUGIN + "# changed\n")
    with pytest.raises(RunFolderError, match="changed after training"):
        load(place, trust_plugins=True)
    copy.unlink()
    with pytest.raises(RunFolderError, match="lacks its plug-in"):
        load(place, trust_plugins=True)
