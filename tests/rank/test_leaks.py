"""The leak suite: twelve planted kinds are found, clean data raises no alarm."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from ctrkit.data.infer import Overrides, infer_schema
from ctrkit.data.read.sources import frame_source, open_source
from ctrkit.rank import Ranking, RankOptions, rank_source
from ctrkit.rank.flags.base import all_flags
from ctrkit.testing.generated import planted_clicks
from ctrkit.testing.leaks import FIELD, KINDS, LeakCase, plant_leak

FOUND = {
    "label copy": "near_copy",
    "near copy": "leaking",
    "label within a category": "within",
    "ids ordered by label": "leaking",
    "future timestamps": "future",
    "target-encoded over all rows": "target_encoded",
    "validation-only values": "held_out",
    "counts after the event": "leaking",
    "missingness by label": "leaking",
    "drift": "drifting",
    "constant by class": "one_class",
}
ROWS = 12_000
LEAKS = {name for name, flag in all_flags().items() if flag.leaks}


def rank_case(case: LeakCase, **options) -> Ranking:
    source = frame_source(case.frame)
    ignored = (case.split.column,) if case.split else ()
    overrides = Overrides(label=case.label, time=case.time, ignore=ignored)
    schema, _ = infer_schema(source, overrides)
    return rank_source(source, replace(schema, split=case.split), RankOptions(**options))


def alarms(ranking: Ranking) -> dict[str, set[str]]:
    """Return the fields with flags of leaks."""
    flags = {row.name: LEAKS & set(row.flags) for row in ranking.singles}
    return {name: found for name, found in flags.items() if found}


@pytest.fixture(scope="module")
def clean() -> LeakCase:
    frame, _ = planted_clicks(ROWS, 3)
    return LeakCase(frame.drop("interests", "price", "slot"), "click", "time")


def test_clean_data_raises_no_alarm(clean):
    for case in (clean, replace(clean, time=None, frame=clean.frame.drop("time"))):
        ranking = rank_case(case)
        assert alarms(ranking) == {}
        assert ranking.facts.duplicates is None


@pytest.mark.parametrize("kind", list(FOUND))
def test_every_kind_of_leak_is_found_in_the_planted_field_alone(clean, kind):
    ranking = rank_case(plant_leak(kind, clean))
    found = alarms(ranking)
    assert found.keys() == {FIELD}
    assert FOUND[kind] in found[FIELD]
    lines = [w for w in ranking.warnings if w.startswith(f"'{FIELD}' is ")]
    assert len(lines) == 1
    if kind not in ("validation-only values", "drift"):
        assert FIELD not in ranking.kept


def test_copies_of_rows_are_found(clean):
    assert KINDS.keys() - FOUND.keys() == {"duplicates across splits"}
    ranking = rank_case(plant_leak("duplicates across splits", clean))
    copies = ranking.facts.duplicates
    assert copies.share == pytest.approx(0.04, abs=0.01)
    assert copies.same_label == 1
    assert copies.message() in ranking.warnings
    assert ranking.to_json()["facts"]["duplicates"]["share"] == copies.share


def test_a_strong_feature_and_encodings_of_earlier_rows_are_no_leaks(clean):
    frame = clean.frame
    draw = np.random.default_rng(1)
    label = clean.labels
    early = frame.head(ROWS // 2).group_by("ad").agg(earlier=pl.col("click").mean())
    frame = frame.join(early, on="ad", how="left", maintain_order="left").with_columns(
        strong=pl.Series(
            np.where(draw.random(len(label)) < 0.35, label, draw.integers(0, 2, ROWS))
        ),
        score=pl.Series((label * 0.2 + draw.normal(size=len(label))).round(2)),
    )
    later = replace(clean, frame=frame[ROWS // 2 :])
    assert alarms(rank_case(later)) == {}


def test_rows_that_repeat_by_nature_are_no_copies():
    draw = np.random.default_rng(2)
    frame = pl.DataFrame(
        {
            "label": (draw.random(20_000) < 0.3).astype(int),
            "a": draw.integers(0, 20, 20_000),
            "b": draw.integers(0, 50, 20_000),
        }
    )
    assert rank_case(LeakCase(frame, "label")).facts.duplicates is None


def test_files_and_the_order_of_rows_change_no_flag(clean, tmp_path):
    case = plant_leak("label within a category", clean)
    frame = case.frame
    for i in range(4):
        frame[i * 3_000 : (i + 1) * 3_000].write_parquet(tmp_path / f"{i}.parquet")
    schema, _ = infer_schema(frame_source(frame), Overrides(label="click", time="time"))
    with ThreadPoolExecutor(2) as pool:
        filed = rank_source(open_source(tmp_path), schema, executor=pool)
    shuffled = rank_source(frame_source(frame.sample(fraction=1, shuffle=True, seed=1)), schema)
    assert filed.details[FIELD].flags == shuffled.details[FIELD].flags


def test_order_of_many_ids_is_found():
    draw = np.random.default_rng(3)
    label = (draw.random(60_000) < 0.2).astype(int)
    case = LeakCase(pl.DataFrame({"label": label, "a": draw.integers(0, 9, 60_000)}), "label")
    ranking = rank_case(plant_leak("ids ordered by label", case))
    assert "leaking" in alarms(ranking)[FIELD]


def test_columns_of_every_type_are_sampled():
    draw = np.random.default_rng(4)
    rows = 400
    number = draw.integers(0, 50, rows)
    frame = pl.DataFrame(
        {
            "label": draw.integers(0, 2, rows),
            "time": pl.Series(number).cast(pl.Datetime("ms")),
            "category": pl.Series(number).cast(pl.String).cast(pl.Categorical),
            "date": pl.Series(number).cast(pl.Date),
            "truth": number > 25,
            "decimal": pl.Series(number).cast(pl.Decimal(10, 2)),
            "list": [[str(v)] * (v % 3) for v in number],
            "pair": pl.Series([[v, v] for v in number.tolist()], dtype=pl.Array(pl.Int64, 2)),
            "none": pl.Series([None] * rows, dtype=pl.Null),
            "wide": pl.Series(number).cast(pl.Int128),
            "*": number,
            "^x.*$": [float(v) if v % 2 else float("nan") for v in number],
        }
    )
    copied = pl.concat([frame, frame.head(100)])
    for time in ("time", None):
        ranking = rank_case(LeakCase(copied, "label", time))
        assert ranking.facts.rows == rows + 100
        assert rank_case(LeakCase(copied.head(2), "label", time)).facts.rows == 2


@pytest.mark.parametrize("rate", [0.005, 0.01, 0.04])
def test_a_number_that_is_zero_in_most_rows_shows_its_leak(rate):
    """Quantile bins alone would put all its values into one."""
    draw = np.random.default_rng(1)
    label = (draw.random(ROWS) < rate).astype(np.int64)
    frame = pl.DataFrame(
        {
            "click": label,
            "site": draw.integers(0, 30, ROWS).astype(str),
            "refund": np.where(label == 1, draw.integers(100, 9_999, ROWS) / 100, 0.0),
        }
    )
    schema, _ = infer_schema(frame_source(frame), Overrides(label="click"))
    ranking = rank_source(frame_source(frame), schema, RankOptions())
    refund = next(row for row in ranking.singles if row.name == "refund")
    assert "near_copy" in refund.flags
    assert "constant" not in refund.flags
    entropy = -(label.mean() * np.log(label.mean()) + (1 - label.mean()) * np.log1p(-label.mean()))
    assert refund.gain == pytest.approx(entropy, rel=0.05)


def test_ranges_of_a_number_are_no_categories():
    """An amount determines a share of it within a range of their sum, in clean data."""
    draw = np.random.default_rng(2)
    principal, rate = draw.lognormal(8, 1, ROWS), draw.uniform(0.02, 0.2, ROWS)
    frame = pl.DataFrame(
        {
            "high": (rate > 0.11).astype(np.int64),
            "paid_total": principal * (1 + rate),
            "paid_interest": principal * rate,
        }
    )
    schema, _ = infer_schema(frame_source(frame), Overrides(label="high"))
    ranking = rank_source(frame_source(frame), schema, RankOptions())
    assert not any("within" in row.flags for row in ranking.singles)
