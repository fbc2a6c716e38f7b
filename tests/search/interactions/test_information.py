"""What pairs tell of the label: golden values, no figure for noise, lists and numbers."""

import json
from dataclasses import astuple

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import mutual_info_score

from ctrkit.data.store.batch import Batch
from ctrkit.errors import RunFolderError
from ctrkit.jobs import rank
from ctrkit.layout import Layout, LayoutField
from ctrkit.rank.folder import pairs_from_ranking
from ctrkit.search.interactions.information import Information, pair_information


def rows_of(*columns, label, numbers=None, bags=()) -> Batch:
    n = len(label)
    codes = np.stack(columns, axis=1).astype(np.uint32) if columns else np.empty((n, 0), np.uint32)
    real = np.empty((n, 0), np.float32) if numbers is None else numbers
    return Batch(codes, real, bags, np.asarray(label, np.uint8))


def categorical(*rows: int) -> Layout:
    return Layout(tuple(LayoutField(f"f{i}", "categorical", n) for i, n in enumerate(rows)))


def xor(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two fair bits and their XOR with exactly every tenth label of each cell flipped."""
    row = np.arange(n)
    a, b = row % 2, row // 2 % 2
    return a, b, a ^ b ^ (row // 4 % 10 == 0)


def test_golden_xor():
    """MI = ln 2 - H(0.1) = 0.368064 nats; of each bit alone 0."""
    a, b, y = xor(40_000)
    batch = rows_of(a + 3, b + 3, label=y)
    (found,) = pair_information([batch], categorical(5, 5), [(0, 1)])
    assert found.mi == pytest.approx(0.368064, abs=5e-7)
    # Four cells of two labels: (4 + 2 - 8 - 1) / 2n less.
    assert found.miller_madow == pytest.approx(found.mi - 3 / 80_000, abs=1e-12)
    assert found.excess == pytest.approx(0.368064, abs=1e-4)
    assert found.interaction == pytest.approx(0.368064, abs=1e-4)
    (alone,) = pair_information([rows_of(a + 3, 0 * b, label=y)], categorical(5, 5), [(0, 1)])
    assert abs(alone.mi) < 1e-12


@pytest.mark.parametrize("size", [5, 30, 300])
def test_permuted_labels_have_no_corrected_information(size):
    draw = np.random.default_rng(size)
    a, b = draw.integers(3, size + 3, (2, 100_000))
    y = draw.permutation((a + b) % 2)
    layout = categorical(size + 3, size + 3)
    (found,) = pair_information([rows_of(a, b, label=y)], layout, [(0, 1)])
    # 90,000 cells spread by sqrt(cells / 2) / n = 0.002 of themselves.
    least = 1e-3 if size < 300 else 5e-3
    assert abs(found.excess) < least
    assert abs(found.interaction) < least
    if size < 300:  # with about a row a cell its correction is none
        assert abs(found.miller_madow) < 1e-3
    else:
        assert found.mi > 0.1


def test_what_fields_tell_alone_is_no_interaction():
    draw = np.random.default_rng(0)
    a, b = draw.integers(3, 6, (2, 50_000))
    y = draw.random(50_000) < np.array([0.1, 0.5, 0.9])[a - 3]
    (found,) = pair_information([rows_of(a, b, label=y)], categorical(6, 6), [(0, 1)])
    assert found.excess > 0.2
    assert abs(found.interaction) < 1e-3


def test_equal_to_a_known_library_under_any_batching_and_gaps_in_codes():
    draw = np.random.default_rng(0)
    codes = draw.choice([0, 1, 3, 70, 999_999], (3, 3000))
    y = draw.random(3000) < 0.2 + 0.1 * (codes[0] == 70) * (codes[2] == 3)
    layout = categorical(*[1_000_000] * 3)
    pairs = [(0, 1), (0, 2), (1, 2)]
    whole = pair_information([rows_of(*codes, label=y)], layout, pairs)
    for (i, j), found in zip(pairs, whole, strict=True):
        joint = [f"{u},{v}" for u, v in zip(codes[i], codes[j], strict=True)]
        assert found.mi == pytest.approx(mutual_info_score(joint, y), abs=1e-10)
    parts = [rows_of(*codes[:, k : k + 77], label=y[k : k + 77]) for k in range(0, 3000, 77)]
    assert pair_information(parts, layout, pairs) == whole
    assert pair_information(parts[::-1], layout, pairs) == whole
    some = pair_information(parts, layout, pairs, most_rows=100)
    assert some == pair_information(parts[:2], layout, pairs)
    (one,) = pair_information(parts, layout, pairs[1:2])
    assert astuple(one) == pytest.approx(astuple(whole[1]), abs=1e-12)


def test_numbers_go_by_buckets_and_lists_by_their_set():
    """The label is whether the list is {3, 4}, in any order, and the number reaches the edge."""
    draw = np.random.default_rng(1)
    lists = [[3, 4], [4, 3], [4, 3, 4], [3], [], [3, 4]]
    chosen = draw.integers(0, len(lists), 20_000)
    x = draw.normal(size=20_000).astype(np.float32)
    x[::9] = np.nan
    both = np.isin(chosen, [0, 1, 2, 5])
    y = both ^ (x >= 0.25)
    tokens = np.asarray([t for c in chosen for t in lists[c]], np.uint32)
    lengths = np.asarray([len(lists[c]) for c in chosen], np.int64)
    layout = Layout((LayoutField("x", "numeric", 0, edges=(0.25,)), LayoutField("m", "multi", 5)))
    batch = rows_of(label=y, numbers=x[:, None], bags=((tokens, lengths),))
    (found,) = pair_information([batch], layout, [(0, 1)])
    share = y.mean()
    entropy = -share * np.log(share) - (1 - share) * np.log(1 - share)
    assert found.mi == pytest.approx(entropy, abs=1e-12), "it is a function of the two"
    # 3 buckets (missing, below, from) of 3 sets ({3, 4}, {3}, {}); each cell has one label.
    assert found.miller_madow - found.mi == pytest.approx((9 + 2 - 9 - 1) / 40_000, abs=1e-12)


@pytest.mark.parametrize("label", [[], [0], [1, 1, 1]])
def test_a_certain_label_has_no_information(label):
    n = len(label)
    batch = rows_of(np.full(n, 3), np.arange(n) + 3, label=label)
    (found,) = pair_information([batch] if n else [], categorical(9, 9), [(0, 1)])
    assert found == Information(0.0, 0.0, 0.0, 0.0)


def ranking(folder, features, **facts) -> None:
    (folder / "rank.json").write_text(json.dumps({"format": 1, "features": features, **facts}))


def cross(rank: int, a: str, b: str, *flags: str) -> dict:
    return {"rank": rank, "order": 2, "members": [a, b], "flags": list(flags)}


def test_pairs_of_a_ranking_best_first(tmp_path):
    single = {"rank": 1, "order": 1, "members": ["a"], "flags": []}
    crosses = [cross(3, "a", "c", "noise"), cross(1, "b", "c"), cross(2, "a", "b", "redundant")]
    ranking(tmp_path, [single, *crosses])
    assert pairs_from_ranking(tmp_path) == [("b", "c"), ("a", "b")]
    assert pairs_from_ranking(tmp_path, noise=True) == [("b", "c"), ("a", "b"), ("a", "c")]


def test_folders_without_crosses_are_refused_in_one_line(tmp_path):
    def refused(words: str) -> None:
        with pytest.raises(RunFolderError, match=words) as told:
            pairs_from_ranking(tmp_path)
        assert "\n" not in str(told.value)

    refused("is not a ranking: it has no rank.json")
    ranking(tmp_path, [{"rank": 1, "order": 1, "members": ["a"], "flags": []}])
    refused("has no crosses; rank again with --order 2")
    ranking(tmp_path, [cross(1, "a", "b", "noise")])
    refused("is distinguishable from noise")
    ranking(tmp_path, [{"order": 2}])
    refused("cannot be read: KeyError")
    (tmp_path / "rank.json").write_text("{")
    refused("cannot be read")


def test_a_written_ranking_is_read(tmp_path):
    a, b, y = xor(4000)
    c = np.random.default_rng(0).integers(0, 4, 4000)
    pl.DataFrame({"click": y.astype(int), "c": c, "a": a, "b": b}).with_columns(
        pl.exclude("click").cast(pl.String)
    ).write_parquet(tmp_path / "data.parquet")
    rank(tmp_path / "data.parquet", label="click", out=tmp_path / "rank", order=2, report=False)
    assert pairs_from_ranking(tmp_path / "rank")[0] == ("a", "b")
    assert len(pairs_from_ranking(tmp_path / "rank", noise=True)) == 3
