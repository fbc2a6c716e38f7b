"""Exact crosses: keys by hand, against a plain counter, under any batching; what is kept."""

import json
from collections import Counter
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import polars as pl
import pytest
import torch

from ctrkit.data.encode.counts import Counts
from ctrkit.data.encode.cross_counts import CrossCounts, distinct_crosses
from ctrkit.data.encode.cross_keys import cross_bases, load_crosses, save_crosses
from ctrkit.data.encode.edges import number_codes
from ctrkit.data.encode.encoder import Encoder
from ctrkit.data.encode.prune import prune
from ctrkit.data.read.sources import open_source
from ctrkit.data.store.batch import Batch
from ctrkit.data.store.batches import Batches
from ctrkit.data.store.dataset import EncodeOptions, prepare_dataset
from ctrkit.errors import ConfigError, RunFolderError
from ctrkit.layout import Layout, LayoutField
from ctrkit.schema import Field, Schema

LAYOUT = Layout(
    (
        LayoutField("a", "categorical", 5),
        LayoutField("b", "categorical", 6),
        LayoutField("x", "numeric", 0, edges=(-1.0, 0.5)),
        LayoutField("u", "multi", 5),
        LayoutField("v", "multi", 4),
    )
)
PAIRS = list(combinations(range(5), 2))


def batch(a, b, x=None, u=None, v=None) -> Batch:
    n = len(a)
    numbers = np.asarray(x if x is not None else [np.nan] * n, np.float32)[:, None]
    lists = [u or [[]] * n, v or [[]] * n]
    bags = tuple(
        (
            np.asarray([t for row in rows for t in row], np.uint32),
            np.asarray([len(row) for row in rows], np.int64),
        )
        for rows in lists
    )
    codes = np.stack([a, b], axis=1).astype(np.uint32)
    return Batch(codes, numbers, bags, np.zeros(n, np.uint8))


def random_rows(n: int, seed: int = 0) -> Batch:
    rng = np.random.default_rng(seed)
    lists = [[rng.integers(0, rows, k).tolist() for k in rng.integers(0, 4, n)] for rows in (5, 4)]
    x = rng.choice([-2.0, -1.0, 0.0, 0.5, 3.0, np.nan], n)
    return batch(rng.integers(0, 5, n), rng.integers(0, 6, n), x, *lists)


def cut(rows: Batch, places: list[int]) -> list[Batch]:
    """Part rows into batches; equal neighbours give an empty one."""
    found = []
    for low, high in zip([0, *places], [*places, len(rows)], strict=True):
        bags = []
        for tokens, lengths in rows.bags:
            ends = np.concatenate([[0], np.cumsum(lengths)])
            bags.append((tokens[ends[low] : ends[high]], lengths[low:high]))
        found.append(
            Batch(rows.codes[low:high], rows.numbers[low:high], tuple(bags), rows.label[low:high])
        )
    return found


def counted(batches, pairs=PAIRS, layout=LAYOUT) -> CrossCounts:
    counts = CrossCounts(layout, pairs)
    for part in batches:
        counts.update(part)
    return counts


def by_hand(rows: Batch, pairs=PAIRS) -> Counter:
    """Count (pair, code, code) row by row."""
    edges, found = (-1.0, 0.5), Counter()
    ends = [np.concatenate([[0], np.cumsum(lengths)]) for _, lengths in rows.bags]
    for row in range(len(rows)):
        x = rows.numbers[row, 0]
        members = [[int(c)] for c in rows.codes[row]]
        members.append([0 if np.isnan(x) else 3 + sum(e <= x for e in edges)])
        for (tokens, _), end in zip(rows.bags, ends, strict=True):
            members.append(tokens[end[row] : end[row + 1]].tolist())
        for p, (i, j) in enumerate(pairs):
            for left, right in product(members[i], members[j]):
                if 2 not in (left, right):
                    found[p, left, right] += 1
    return found


def test_keys_by_hand():
    """Rows 5, 6, 3+2+1, 5, 4; a x b starts at 0, a x x at 30, b x x at 60."""
    assert [f.cross_rows for f in LAYOUT.fields] == [5, 6, 6, 5, 4]
    pairs = [(0, 1), (0, 2), (1, 2)]
    assert cross_bases(LAYOUT, pairs).tolist() == [0, 30, 60, 96]
    counts = counted([batch([3, 3, 4, 2], [5, 5, 0, 3], [0.5, -1.0, np.nan, -7.0])], pairs)
    # a x b: (3, 5) twice, (4, 0); a x x: (3, 5), (3, 4), (4, 0); b x x: (5, 5), (5, 4), (0, 0),
    # (3, 3). The fourth row's a was dropped by a selection.
    assert counts.keys(1).tolist() == [23, 24, 30 + 22, 30 + 23, 30 + 24,
                                       60 + 0, 60 + 21, 60 + 34, 60 + 35]  # fmt: skip
    assert counts.keys(2).tolist() == [23]
    assert counts.distinct().tolist() == [2, 3, 4]
    assert counts.distinct(2).tolist() == [1, 0, 0]
    assert counts.value_of(60 + 34) == (2, 5, 4)
    assert counts.pair_of(np.array([0, 29, 30, 59, 60, 95])).tolist() == [0, 0, 1, 1, 2, 2]


def test_lists_cross_by_each_token_and_empty_lists_do_not_cross():
    rows = batch([3, 4, 3], [3, 3, 3], None, [[3, 4], [], [4, 4]], [[3], [3, 0], [3, 0]])
    counts = counted([rows], [(0, 3), (3, 4)])
    values = {counts.value_of(int(k)): int(n) for k, n in zip(*counts._kept(1), strict=True)}
    assert values == {
        (0, 3, 3): 1, (0, 3, 4): 3,  # a list that repeats a token meets by both
        (1, 3, 3): 1, (1, 4, 3): 3, (1, 4, 0): 2,
    }  # fmt: skip


@pytest.mark.parametrize("n", [1, 2, 700])
def test_equal_to_a_plain_counter(n):
    rows = random_rows(n)
    expected = by_hand(rows)
    counts = counted([rows])
    keys, times = counts._kept(1)
    assert dict(zip(map(counts.value_of, keys.tolist()), times.tolist(), strict=True)) == expected
    for least in (1, 2, 5):
        wanted = sorted(k for k, m in expected.items() if m >= least)
        assert [counts.value_of(k) for k in counts.keys(least).tolist()] == wanted
        found = Counter(p for p, _, _ in wanted)
        assert counts.distinct(least).tolist() == [found[p] for p in range(len(PAIRS))]


def test_equal_for_any_batching_window_and_merging(monkeypatch):
    rows = random_rows(900, seed=3)
    whole = counted([rows])
    expected = [a.tobytes() for a in whole._kept(1)]
    cuts = ([], [1], [0, 0, 450], list(range(1, 900, 7)), [899])
    for window in (1, 64, 1 << 19):
        monkeypatch.setattr("ctrkit.data.encode.cross_counts._WINDOW", window)
        for places in cuts:
            parts = cut(rows, places)
            assert [a.tobytes() for a in counted(parts)._kept(1)] == expected
            assert [a.tobytes() for a in counted(parts[::-1])._kept(1)] == expected
            half = len(parts) // 2
            one, two = counted(parts[:half]), counted(parts[half:])
            for merged in (one.merge(two), two.merge(one)):
                assert [a.tobytes() for a in merged._kept(1)] == expected
    assert counted([]).keys().tolist() == []
    assert counted(cut(rows, [0])[:1]).distinct().tolist() == [0] * len(PAIRS)


def test_counting_continues_after_reading():
    rows = random_rows(400, seed=5)
    first, second = cut(rows, [123])
    counts = counted([first])
    assert counts.keys().tolist() == counted([first]).keys().tolist()
    counts.update(second)
    assert counts._kept(1)[1].tolist() == counted([rows])._kept(1)[1].tolist()


def test_a_key_is_kept_from_min_count_rows_on():
    counts = counted([batch([3] * 4 + [4] * 5, [3] * 9)], [(0, 1)])
    assert [counts.value_of(k) for k in counts.keys(5).tolist()] == [(0, 4, 3)]
    assert counts.frozen(5).counts.tolist() == [5]


def test_large_vocabularies_have_keys_of_64_bits():
    rows = 3_000_000
    layout = Layout(tuple(LayoutField(n, "categorical", rows) for n in "pqr"))
    top = np.full((2, 3), rows - 1, np.uint32)
    pairs = [(0, 1), (0, 2), (1, 2)]
    counts = CrossCounts(layout, pairs)
    counts.update(Batch(top, np.empty((2, 0), np.float32), (), np.zeros(2, np.uint8)))
    assert counts.keys(2).tolist() == [rows**2 - 1, 2 * rows**2 - 1, 3 * rows**2 - 1]
    assert counts.value_of(3 * rows**2 - 1) == (2, rows - 1, rows - 1)
    big = Layout(tuple(LayoutField(n, "categorical", 2**31) for n in "pqr"))
    with pytest.raises(ConfigError, match="cross fewer pairs"):
        CrossCounts(big, pairs)


def test_hashed_fields_are_refused():
    layout = Layout((LAYOUT.fields[0], LayoutField("h", "categorical", 2**32, hashed=True)))
    with pytest.raises(ConfigError, match="'h' is hash-encoded, and exact crosses need vocab"):
        CrossCounts(layout, [(0, 1)])


def test_numbers_have_the_codes_that_torch_gives_them():
    rng = np.random.default_rng(0)
    z = np.concatenate([rng.normal(size=1000), [0.1, -0.0, np.nan]]).astype(np.float32)
    edges = tuple(sorted({0.1, 0.0, *rng.choice(z[:1000], 20).astype(np.float64).tolist()}))
    expected = torch.bucketize(torch.from_numpy(z), torch.tensor(edges), right=True) + 3
    expected[-1] = 0
    assert number_codes(z, edges).tolist() == expected.tolist()
    assert number_codes(z[-3:-2], (0.1,)).tolist() == [4], "0.1 is compared in float32"


FRAME = pl.DataFrame(
    {
        "click": [0, 1] * 100,
        "c": [f"c{i % 7}" for i in range(200)],
        "d": [f"d{i % 3}" for i in range(200)],
        "x": [None if i % 20 == 0 else float((i * 37) % 200) for i in range(200)],
        "m": [["u", "v"] if i % 2 else ["w"] for i in range(200)],
    }
)
SCHEMA = Schema(
    (
        Field("c", "categorical", min_count=1),
        Field("d", "categorical", min_count=1),
        Field("x", "numeric", bins=4),
        Field("m", "multi", min_count=1),
    ),
    label="click",
)


@pytest.fixture
def data(tmp_path):
    FRAME.write_parquet(tmp_path / "data.parquet")
    return prepare_dataset(open_source(tmp_path / "data.parquet"), SCHEMA, out=tmp_path / "encoded")


def test_a_saved_encoder_holds_its_crosses(tmp_path, data):
    counts = CrossCounts(data.layout, [(0, 1), (0, 2), (2, 3)])
    for part in Batches(data.shards, "train", 16, shuffle=True).epoch(0):
        counts.update(part)
    crosses = counts.frozen(3)
    assert 0 < len(crosses.keys) < len(counts.keys())
    encoder = replace(data.encoder, crosses=crosses)
    encoder.save(tmp_path / "with")
    back = Encoder.load(tmp_path / "with").layout()
    assert back == data.layout
    assert back.crosses is not None
    assert back.crosses.pairs == (("c", "d"), ("c", "x"), ("x", "m"))
    assert back.crosses.keys.tolist() == crosses.keys.tolist()
    assert back.crosses.counts.tolist() == crosses.counts.tolist()
    assert back.crosses.min_count == 3
    assert data.layout.crosses is None
    assert not (tmp_path / "encoded" / "encoder" / "crosses").exists()


def test_encoders_with_other_crosses_have_other_cache_entries(tmp_path, data):
    source = open_source(tmp_path / "data.parquet")
    counts = CrossCounts(data.layout, [(0, 1)])
    for part in Batches(data.shards, "train", 64, shuffle=False).epoch(0):
        counts.update(part)
    for least, encoder in (
        (None, data.encoder),
        *((y, replace(data.encoder, crosses=counts.frozen(y))) for y in (1, 9)),
    ):
        found = prepare_dataset(
            source, SCHEMA, EncodeOptions(encoder=encoder, cache=tmp_path / "cache")
        )
        crosses = found.layout.crosses
        assert (None if crosses is None else crosses.min_count) == least


def test_pruning_drops_exact_crosses(data):
    counts = CrossCounts(data.layout, [(0, 1)])
    counts.update(next(Batches(data.shards, "train", 64, shuffle=False).epoch(0)))
    encoder = replace(data.encoder, crosses=counts.frozen(1))
    kept = {f.name: np.ones(f.rows, bool) for f in data.layout.fields if f.kind != "numeric"}
    kept["c"][3] = False
    assert prune(encoder, kept).layout().crosses is None


def test_crosses_of_another_encoder_are_refused(tmp_path):
    counts = counted([random_rows(50)], [(0, 1), (1, 2)])
    save_crosses(tmp_path, counts.frozen(2), LAYOUT)
    assert load_crosses(tmp_path, LAYOUT).keys.tolist() == counts.keys(2).tolist()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["counts.npy", "crosses.json", "keys.npy"]
    fields = LAYOUT.fields
    grown = Layout((fields[0], LayoutField("b", "categorical", 7), *fields[2:]))
    with pytest.raises(RunFolderError, match="'b' had 6 codes and has 7"):
        load_crosses(tmp_path, grown)
    with pytest.raises(RunFolderError, match="no field 'a' in the encoder"):
        load_crosses(tmp_path, Layout(fields[1:]))
    with pytest.raises(RunFolderError, match="not in the order"):
        load_crosses(tmp_path, Layout((fields[1], fields[0], *fields[2:])))


def test_damaged_crosses_are_refused(tmp_path):
    save_crosses(tmp_path, counted([random_rows(50)], [(0, 1)]).frozen(1), LAYOUT)
    keys = np.load(tmp_path / "keys.npy")
    for bad, words in ((keys[::-1], "damaged"), (keys[1:], "damaged"), (keys + 30, "other pairs")):
        np.save(tmp_path / "keys.npy", bad)
        with pytest.raises(RunFolderError, match=words):
            load_crosses(tmp_path, LAYOUT)
    np.save(tmp_path / "keys.npy", keys)
    facts = json.loads((tmp_path / "crosses.json").read_text())
    (tmp_path / "crosses.json").write_text(json.dumps(facts | {"format": 9}))
    with pytest.raises(RunFolderError, match="format 9; this ctrkit reads 1"):
        load_crosses(tmp_path, LAYOUT)
    (tmp_path / "keys.npy").write_bytes(b"")
    with pytest.raises(RunFolderError, match="cannot be read"):
        load_crosses(tmp_path, LAYOUT)


@pytest.mark.parametrize("transform", ["raw", "standard", "log2", "log2_monotone"])
def test_real_numbers_cross_by_buckets_of_about_equal_counts(transform, tmp_path):
    rng = np.random.default_rng(1)
    values = pl.DataFrame({"x": rng.lognormal(1.0, 2.0, 20_000) * rng.choice([1, 1, -1], 20_000)})
    schema = Schema((Field("x", "numeric", transform=transform, bins=8),))
    counts = Counts(schema)
    counts.update(values)
    encoder = Encoder.fit(schema, counts)
    (f,) = encoder.layout().fields
    assert f.rows == 0, "it stays a number"
    assert (np.diff(f.edges) > 0).all()
    assert np.asarray(f.edges, np.float32).astype(np.float64).tolist() == list(f.edges)
    share = np.bincount(number_codes(encoder.encode(values).numbers[:, 0], f.edges))[3:] / 20_000
    assert share.min() > 0
    if transform != "log2":  # which has large steps
        assert len(share) == 8
        assert np.abs(share - 1 / 8).max() < 0.006
    encoder.save(tmp_path)
    assert Encoder.load(tmp_path).layout() == encoder.layout()
    halves = [Counts(schema), Counts(schema)]
    halves[0].update(values[:77])
    halves[1].update(values[77:])
    for merged in (halves[0].merge(halves[1]), halves[1].merge(halves[0])):
        assert Encoder.fit(schema, merged).layout().fields == (f,)


@pytest.mark.parametrize("values", [[], [None, None], [4.0, 4.0, None]])
def test_a_number_without_spread_has_one_bucket(values):
    schema = Schema((Field("x", "numeric"),))
    counts = Counts(schema)
    counts.update(pl.DataFrame({"x": pl.Series(values, dtype=pl.Float64)}))
    (f,) = Encoder.fit(schema, counts).layout().fields
    assert f.edges == ()
    assert [f.cross_rows] == [4]


def test_the_estimate_of_distinct_crosses_is_close_and_includes_hashed_fields():
    """A dense pair, a sparse one and a hash-encoded member, against a set of pairs of codes."""
    draw = np.random.default_rng(0)
    layout = Layout(
        (
            LayoutField("a", "categorical", 33),
            LayoutField("b", "categorical", 5003),
            LayoutField("h", "categorical", 2**32, hashed=True),
        )
    )
    sizes = (30, 5000, 2**32 - 4)
    made = np.stack([draw.integers(3, 3 + n, 40_000) for n in sizes], 1).astype(np.uint32)
    made[:100, 0] = 2  # dropped: no cross
    none = np.empty((20_000, 0), np.float32)
    label = np.zeros(20_000, np.uint8)
    parts = [Batch(rows, none, (), label) for rows in np.split(made, 2)]
    pairs = list(combinations(range(3), 2))
    found = distinct_crosses(parts, layout, pairs)
    kept = made[made[:, 0] != 2]
    expected = [len({*map(tuple, (kept if 0 in p else made)[:, p].tolist())}) for p in pairs]
    assert found == pytest.approx(expected, rel=0.01)
    assert distinct_crosses([], layout, pairs) == [0, 0, 0]
