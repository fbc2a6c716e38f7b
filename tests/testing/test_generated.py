"""Planted data holds what its truth says."""

import numpy as np
import polars as pl
import pytest

from ctrkit.testing.generated import planted_clicks, planted_operations, xor_fields


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


def codes(frame, *names):
    return [frame[n].str.slice(1).cast(pl.Int64).to_numpy() for n in names]


def test_planted_operations_have_a_dense_pair_and_a_sparse_one():
    frame, truth = planted_operations(40_000, seed=0)
    assert frame.equals(planted_operations(40_000, seed=0)[0])
    assert not frame.equals(planted_operations(40_000, seed=1)[0])
    assert frame.columns == ["click", *truth.informative, *truth.noise]
    assert frame.group_by(truth.pairs[0]).len()["len"].min() >= 15
    assert frame.group_by(truth.pairs[1]).len()["len"].max() == 2
    sizes = [frame[n].n_unique() for n in frame.columns if n not in truth.pairs[1]]
    assert sizes == [2, 30, 30, 5, 40, 400, pytest.approx(3900, abs=100)]
    for name in truth.pairs[1]:
        rows = frame[name].value_counts(sort=True)["count"]
        assert 1000 < len(rows) <= 2000
        assert rows[:300].sum() > 0.7 * 40_000, "few values hold most rows"
    assert truth.probability.mean() == pytest.approx(frame["click"].mean(), abs=0.01)
    assert truth.auc == pytest.approx(0.89, abs=0.02)


@pytest.mark.parametrize("rows", [0, 1, 2, 3])
def test_planted_operations_of_few_rows(rows):
    frame, truth = planted_operations(rows, values=50)
    assert frame.height == len(truth.probability) == rows
    assert frame.schema == planted_operations(10, values=50)[0].schema


def test_cells_of_the_sparse_pair_never_have_three_rows():
    """Up to the last row: 20 x 20 cells hold 800."""
    frame, truth = planted_operations(400_000, seed=2)
    assert frame.group_by(truth.pairs[1]).len()["len"].max() == 2
    full, truth = planted_operations(800, seed=2, values=20)
    met = full.group_by(truth.pairs[1]).len()["len"]
    assert (met.len(), met.min(), met.max()) == (400, 2, 2)


def test_the_dense_pair_is_a_table_of_unlike_click_rates():
    frame, truth = planted_operations(40_000, seed=1, product=0.0)
    a, b = codes(frame, *truth.pairs[0])
    table = np.full((30, 30), np.nan)
    logit = np.log(truth.probability / (1 - truth.probability))
    table[a, b] = logit
    assert np.abs(table[a, b] - logit).max() < 1e-12, "a function of the two"
    assert table.std() == pytest.approx(1.5, abs=0.1)
    strengths = np.linalg.svd(table - table.mean(), compute_uv=False) ** 2
    assert strengths[:4].sum() / strengths.sum() < 0.5, "no few products make it"


def test_the_sparse_pair_is_an_inner_product_of_width_two():
    """Alternating least squares of rank 2 explain all of it, of rank 1 not."""
    frame, truth = planted_operations(100_000, seed=1, table=0.0, click_rate=0.5)
    c, d = codes(frame, *truth.pairs[1])
    logit = np.log(truth.probability / (1 - truth.probability))
    assert logit.std() == pytest.approx(2.0, abs=0.2)
    frequent = (np.bincount(c)[c] >= 100) & (np.bincount(d)[d] >= 100)
    c, d, logit = c[frequent], d[frequent], logit[frequent]
    assert len(c) > 50_000

    def unexplained(rank: int) -> float:
        left, right = np.random.default_rng(0).normal(size=(2, 2000, rank))
        for _ in range(40):
            for mine, other, i, j in ((left, right, c, d), (right, left, d, c)):
                x = other[j].T  # (rank, rows)
                square = [[np.bincount(i, p * q, 2000) for p in x] for q in x]
                product = [np.bincount(i, p * logit, 2000) for p in x]
                of_value = np.transpose(square, (2, 0, 1)) + 1e-9 * np.eye(rank)
                mine[:] = np.linalg.solve(of_value, np.transpose(product)[:, :, None])[:, :, 0]
        return float(np.var(logit - (left[c] * right[d]).sum(axis=1)) / np.var(logit))

    assert unexplained(2) < 1e-6
    assert unexplained(1) > 0.2


def test_members_of_the_dense_pair_tell_little_alone_and_noise_nothing():
    frame, truth = planted_operations(200_000, seed=0)
    assert max(spread(frame, [name]) for name in truth.noise[:2]) < 0.01
    assert max(spread(frame, [name]) for name in truth.pairs[0]) < 0.08
    cells = frame.group_by(truth.pairs[0]).agg(pl.col("click").mean())["click"]
    assert cells.std() > 0.2
