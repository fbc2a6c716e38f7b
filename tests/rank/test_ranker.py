"""The whole ranking on planted truth, on broken columns, and for every kind of input."""

import dataclasses

import numpy as np
import polars as pl
import pytest

from ctrkit.data.read.sources import frame_source, open_source
from ctrkit.errors import ConfigError, DataError, SchemaError
from ctrkit.rank import RankOptions, rank_source
from ctrkit.rank.result import SCHEMA
from ctrkit.schema import Field, Schema
from ctrkit.testing.generated import planted_clicks, ranking_fields


def schema_of(frame, label="label", **kinds):
    fields = [Field(c, kinds.get(c, "categorical")) for c in frame.columns if c != label]
    return Schema(tuple(fields), label=label)


def ranked(frame, label="label", kinds=None, **options):
    schema = schema_of(frame, label, **(kinds or {}))
    return rank_source(frame_source(frame), schema, RankOptions(**options))


def by_name(ranking):
    return {r.name: r for r in ranking.features}


@pytest.fixture(scope="module")
def planted():
    frame, truth = ranking_fields(30_000, 7)
    return frame, truth, ranked(frame, order=2, noise_controls=True)


def test_signal_ranks_above_noise(planted):
    _, truth, ranking = planted
    rows = by_name(ranking)
    signal = [n for n in truth.informative if n not in ("info_20000", "info_50000")]
    worst = min(rows[n].gain for n in signal)
    assert worst > max(rows[n].gain for n in truth.noise)
    assert not any("noise" in rows[n].flags for n in signal)
    assert all("noise" in rows[n].flags for n in truth.noise)
    plain = sorted(truth.noise + truth.informative, key=lambda n: -rows[n].mi)
    assert plain[0] == "row_id"  # uncorrected information fails here


def test_the_xor_pair_is_the_first_cross(planted):
    _, _, ranking = planted
    crosses = [r for r in ranking.features if r.order == 2]
    assert crosses[0].members == ("xor_8a", "xor_8b")
    assert crosses[0].gain > 100 * crosses[1].gain
    assert crosses[0].interaction > 0.95
    assert {"xor_8a", "xor_8b"} <= set(ranking.kept)
    assert not set(ranking.kept) & {"row_id", "noise_1", "noise_100000"}
    facts = ranking.facts.crosses
    assert facts.pairs == facts.screened + facts.not_screened
    assert facts.evaluated == 50
    late = [r for r in crosses if r.gain is None]
    assert all(r.score is None for r in late)
    assert [r.synergy for r in late] == sorted((r.synergy for r in late), reverse=True)


def test_noisy_copies_are_one_group(planted):
    _, _, ranking = planted
    rows = by_name(ranking)
    assert rows["info_500"].redundancy_group == rows["copy_500"].redundancy_group == 1
    flagged = [n for n in ("info_500", "copy_500") if "redundant" in rows[n].flags]
    assert len(flagged) == 1
    assert ranking.facts.redundant_pairs[0].ami > 0.9


def test_missingness_is_scored_apart_from_the_values(planted):
    _, _, ranking = planted
    found = ranking.details["hole"]
    assert found.missing.gain > 1e-3
    assert found.known.gain < found.missing.gain / 20
    assert 0.65 < by_name(ranking)["hole"].coverage < 0.75


def test_every_row_has_every_column(planted):
    _, _, ranking = planted
    assert all(tuple(row.to_json()) == tuple(SCHEMA) for row in ranking.features)
    assert ranking.frame().schema == SCHEMA
    for order in (1, 2):
        ranks = [r.rank for r in ranking.features if r.order == order]
        assert ranks == list(range(1, len(ranks) + 1))


def test_shards_shuffles_and_streams_give_the_same_bits(tmp_path):
    frame, _ = planted_clicks(3000, 1)
    frame = frame.drop("time").rename({"click": "label"})
    kinds = {"age": "numeric", "price": "numeric", "interests": "multi"}
    whole = ranked(frame, kinds=kinds, order=2)
    shuffled = ranked(frame.sample(fraction=1, shuffle=True, seed=3), kinds=kinds, order=2)
    frame.write_parquet(tmp_path / "data.parquet", row_group_size=500)
    source = open_source(tmp_path / "data.parquet")
    streamed = rank_source(source, schema_of(frame, **kinds), RankOptions(order=2))
    assert whole.features == shuffled.features == streamed.features
    assert whole.kept == streamed.kept


def test_tokens_of_lists_are_features(planted):
    draw = np.random.default_rng(0)
    y = draw.integers(0, 2, 2000)
    lists = [["good", "x"] if v else ["x", "y"][: 1 + i % 2] for i, v in enumerate(y)]
    frame = pl.DataFrame({"m": lists, "label": np.where(draw.random(2000) < 0.2, 1 - y, y)})
    rows = by_name(ranked(frame, kinds={"m": "multi"}))
    assert set(rows) == {"m", "m=x", "m=y", "m=good"}
    assert rows["m=good"].gain > 0.1
    assert rows["m=x"].flags == ("constant", "noise")
    assert set(by_name(ranked(frame, kinds={"m": "multi"}, tokens=1))) == {"m", "m=x"}


def broken_frame(rows=4000):
    draw = np.random.default_rng(5)
    y = (draw.random(rows) < 0.3).astype(int)
    a = draw.integers(0, 30, rows)
    ids = np.argsort(np.argsort(y + 0.3 * draw.random(rows)))
    return pl.DataFrame(
        {
            "label": y,
            "copy": np.where(y, "yes", "no"),
            "near": np.where(draw.random(rows) < 0.005, 1 - y, y),
            "leak": np.where(draw.random(rows) < 0.06, 1 - y, y) * 100 + draw.integers(0, 9, rows),
            "late": pl.Series(np.where(y & (draw.random(rows) < 0.9), "r1", "")).replace("", None),
            "id": ids + 10**6,
            "random_id": draw.permutation(rows),
            "a": a,
            "again": a,
            "other": 29 - a,
            "one": ["x"] * rows,
            "none": pl.Series([None] * rows, dtype=pl.String),
            "tail": draw.zipf(1.05, rows) % 10**9,
        }
    )


def test_faults_of_columns_are_flagged_and_warned_about():
    ranking = ranked(broken_frame())
    flags = {n: set(r.flags) for n, r in by_name(ranking).items()}
    assert "near_copy" in flags["copy"]
    assert "near_copy" in flags["near"]
    assert "leaking" in flags["leak"]
    assert "leaking" in flags["late"]
    assert {"leaking", "id_like"} <= flags["id"]
    assert flags["random_id"] == {"id_like", "noise"}
    assert "identical" in flags["again"]
    assert "identical" not in flags["a"] | flags["other"]
    assert "constant" in flags["one"]
    assert {"broken", "constant"} <= flags["none"]
    assert "rare" in flags["tail"]
    assert ranking.warnings[0].startswith(("'leak'", "'late'", "'id'"))
    assert not set(ranking.kept) & {"copy", "near", "leak", "late", "id", "one", "none", "again"}
    assert ranking.details["again"].flags["identical"] == {"to": "a"}


def test_drift_over_time_and_over_files(tmp_path):
    rows = 3000
    draw = np.random.default_rng(6)
    frame = pl.DataFrame(
        {
            "label": draw.integers(0, 2, rows),
            "t": np.arange(rows),
            "moves": np.arange(rows) // 500,
            "stays": draw.integers(0, 6, rows),
            "stops": [None if i > 1900 else "v" for i in range(rows)],
        }
    )
    fields = tuple(Field(n, "categorical") for n in ("moves", "stays", "stops"))
    timed = Schema(fields, label="label", time="t")
    ranking = rank_source(frame_source(frame.sample(fraction=1, shuffle=True, seed=1)), timed)
    rows_of = by_name(ranking)
    assert ranking.facts.periods == "thirds by time"
    assert rows_of["moves"].drift == pytest.approx(np.log(2), abs=0.01)
    assert "drifting" in rows_of["moves"].flags
    assert abs(rows_of["stays"].drift) < 0.01
    assert "broken" in rows_of["stops"].flags
    assert ranking.details["stops"].by_third.coverage[0] == 1.0
    for i in range(3):
        frame[i * 1000 : i * 1000 + 1000].write_parquet(tmp_path / f"{i}.parquet")
    filed = rank_source(open_source(tmp_path), dataclasses.replace(timed, time=None))
    assert filed.facts.periods == "thirds by file order"
    assert by_name(filed)["moves"].drift == rows_of["moves"].drift
    alone = rank_source(frame_source(frame), dataclasses.replace(timed, time=None))
    assert by_name(alone)["moves"].drift is None


@pytest.mark.parametrize("score", ["gain", "adj", "ami", "mi", "z", "randomised", "outrank"])
def test_every_score_sorts_the_features(score):
    frame, _ = ranking_fields(3000, 1)
    ranking = ranked(frame.select("label", "info_2", "info_100", "noise_100"), score=score)
    scores = [r.score for r in ranking.features]
    assert scores == sorted(scores, reverse=True)
    if score not in ("randomised", "outrank"):
        assert all(r.score == getattr(r, score) for r in ranking.features)


def test_labels_of_several_classes_and_numbers():
    draw = np.random.default_rng(8)
    kind = draw.integers(0, 3, 3000)
    base = {"good": (kind + (draw.random(3000) < 0.2)) % 3, "noise": draw.integers(0, 9, 3000)}
    words = ranked(pl.DataFrame({"label": np.array(["lo", "mid", "hi"])[kind], **base}))
    assert words.facts.classes.keys() == {"lo", "mid", "hi"}
    numbers = ranked(pl.DataFrame({"label": kind + draw.normal(size=3000) * 0.1, **base}))
    assert len(numbers.facts.classes) == 10
    for ranking in (words, numbers):
        rows = by_name(ranking)
        assert rows["good"].gain > 0.2
        assert rows["noise"].flags == ("noise",)


def test_crosses_of_a_three_class_label():
    draw = np.random.default_rng(9)
    a, b = draw.integers(0, 3, 6000), draw.integers(0, 3, 6000)
    label = np.where(draw.random(6000) < 0.5, (a + b) % 3, draw.integers(0, 3, 6000))
    frame = pl.DataFrame({"label": label, "a": a, "b": b, "c": draw.integers(0, 9, 6000)})
    crosses = [r for r in ranked(frame, order=2).features if r.order == 2]
    assert crosses[0].name == "a x b"
    assert crosses[0].gain > 0.05 > crosses[1].gain * 10


def test_weights_are_repeated_rows():
    frame, _ = ranking_fields(2000, 2)
    frame = frame.select("label", "info_2", "info_100", w=pl.int_range(2000) % 3)
    schema = Schema(
        (Field("info_2", "categorical"), Field("info_100", "categorical")),
        label="label",
        weight="w",
    )
    weighted = rank_source(frame_source(frame), schema, RankOptions(order=2))
    repeated = frame[np.repeat(np.arange(2000), np.arange(2000) % 3)]
    plain = rank_source(
        frame_source(repeated), dataclasses.replace(schema, weight=None), RankOptions(order=2)
    )
    assert weighted.features == plain.features


def test_missing_symbols():
    frame = pl.DataFrame({"label": [0, 1] * 50, "a": ["", "NA", "x", None] * 25})
    assert by_name(ranked(frame))["a"].coverage == 0.5
    assert by_name(ranked(frame, missing=("", "NA")))["a"].coverage == 0.25
    assert by_name(ranked(frame, missing=()))["a"].coverage == 0.75


def test_a_time_limit_reports_what_was_not_screened():
    frame, _ = ranking_fields(2000, 3)
    ranking = ranked(frame, order=2, seconds=0.0)
    facts = ranking.facts.crosses
    assert facts.not_screened > 0
    assert facts.evaluated < 50
    assert len([r for r in ranking.features if r.order == 2]) == facts.screened


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ([1] * 50, "at least two classes; got 1 in all 50"),
        (["x"] * 50, "got 'x' in every row"),
        ([2.5] * 50, "got 2.5 in every row"),
        ([None, 1] * 25, "got None"),
        ([None, "a", "b", "c", "d"] * 10, "some are missing"),
        ([f"c{i}" for i in range(100)], "at most 64 classes"),
    ],
)
def test_labels_without_two_usable_classes_are_errors(label, message):
    frame = pl.DataFrame({"a": list(range(len(label))), "label": label})
    with pytest.raises(DataError, match=message):
        ranked(frame)


def test_other_user_errors():
    frame = pl.DataFrame({"a": [1, 2], "label": [0, 1]})
    with pytest.raises(SchemaError, match="no label"):
        rank_source(frame_source(frame), Schema((Field("a", "categorical"),)))
    with pytest.raises(DataError, match="no rows"):
        ranked(frame.head(0))
    with pytest.raises(ConfigError, match="did you mean 'gain'"):
        RankOptions(score="gian")
    with pytest.raises(ConfigError, match="order must be 1 to 2"):
        RankOptions(order=3)
    with pytest.raises(ConfigError, match="single features"):
        RankOptions(score="outrank", order=2)


def test_two_rows_are_ranked_without_a_crash():
    ranking = ranked(pl.DataFrame({"a": [1, 2], "b": ["x", "x"], "label": [0, 1]}), order=2)
    assert {r.name for r in ranking.features} >= {"a", "b"}
    assert all(r.p == 1 for r in ranking.features)


def test_names_may_hold_anything():
    frame, _ = ranking_fields(500, 1)
    frame = frame.select("label", **{"a AND b": "info_2", "c-d x,e": "info_10"})
    names = {r.name for r in ranked(frame, order=2).features}
    assert names == {"a AND b", "c-d x,e", "a AND b x c-d x,e"}
