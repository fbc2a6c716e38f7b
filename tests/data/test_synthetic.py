"""Planted data holds what its truth says."""

import numpy as np
import polars as pl
import pytest

from ctrkit.data.synthetic import planted_clicks, xor_fields


def spread(frame, columns):
    """Standard deviation of the click rate over the common values of some columns."""
    rates = frame.group_by(columns).agg(pl.col("click").mean().alias("rate"), pl.len().alias("n"))
    return rates.filter(pl.col("n") >= 500)["rate"].std()


def test_same_seed_same_rows_other_seed_other_rows():
    one, truth = planted_clicks(500, seed=1)
    again, same = planted_clicks(500, seed=1)
    assert one.equals(again)
    assert truth == same
    assert not one.equals(planted_clicks(500, seed=2)[0])


@pytest.mark.parametrize("rows", [0, 1])
def test_empty_and_one_row(rows):
    frame, truth = planted_clicks(rows)
    assert frame.height == len(truth.probability) == rows
    assert frame.schema == planted_clicks(10)[0].schema
    assert xor_fields(rows)[0].shape == (rows, 11)


def test_every_column_is_the_label_a_time_or_in_the_truth():
    frame, truth = planted_clicks(100)
    assert {*frame.columns} == {"click", "time", *truth.informative, *truth.noise}


def test_the_log_is_as_messy_as_a_real_one():
    frame, _ = planted_clicks(20_000)
    assert 0.08 < frame["age"].null_count() / frame.height < 0.12
    assert frame["interests"].list.len().min() == 0
    assert frame["time"].is_sorted()
    assert frame["ad"].value_counts(sort=True)["count"][0] > 1_000  # a long tail


def test_planted_pair_matters_only_jointly():
    frame, _ = planted_clicks(100_000, seed=3)
    assert spread(frame, ["site"]) < 0.02
    assert spread(frame, ["device"]) < 0.01
    assert spread(frame, ["site", "device"]) > 0.12


def test_bayes_auc_and_calibration():
    frame, truth = planted_clicks(100_000, seed=0)
    assert truth.auc == pytest.approx(0.85, abs=0.03)
    assert truth.probability.mean() == pytest.approx(frame["click"].mean(), abs=0.005)
    flat = planted_clicks(100_000, seed=0, interaction=0.0)[1]
    assert flat.pairs == ()
    assert flat.auc < truth.auc - 0.1


def test_xor_has_no_main_effect_and_a_ceiling_of_ninety_percent():
    frame, truth = xor_fields(50_000, seed=0)
    assert truth.pairs == (("f3", "f7"),)
    assert truth.auc == pytest.approx(0.9, abs=0.005)
    x = frame.select(truth.pairs[0]).to_numpy()
    agreement = np.mean((x[:, 0] ^ x[:, 1]) == frame["label"].to_numpy())
    assert agreement == pytest.approx(0.9, abs=0.005)
    assert abs(np.corrcoef(x[:, 0], frame["label"].to_numpy())[0, 1]) < 0.02
