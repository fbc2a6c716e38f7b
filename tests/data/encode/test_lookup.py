import numpy as np
import polars as pl
import pytest

from ctrkit.data.encode import lookup
from ctrkit.data.encode.lookup import Lookup


def _expected(values, texts):
    place = {v: i for i, v in enumerate(values)}
    return [place.get(t, -1) for t in texts]


@pytest.mark.parametrize("size", [0, 1, 2, 15, 16, 5000])
def test_texts_are_found_at_their_positions(size):
    r = np.random.default_rng(size)
    values = [f"value {i}" * int(1 + i % 3) for i in r.permutation(size)]
    texts = [*values[::-1], "", None, "other", *[f"value {i}" for i in range(size + 40)]]
    found = Lookup(pl.Series(values, dtype=pl.String)).find(pl.Series(texts))
    assert found.dtype == np.int32
    assert found.tolist() == _expected(values, texts)


def test_no_rows_and_only_nulls():
    table = Lookup(pl.Series(["a", ""]))
    assert table.find(pl.Series([], dtype=pl.String)).tolist() == []
    assert table.find(pl.Series([None, None], dtype=pl.String)).tolist() == [-1, -1]
    assert table.find(pl.Series(["", "a"])).tolist() == [1, 0]


@pytest.mark.parametrize("high", [lambda n: 0, lambda n: n, lambda n: 2**32 - 1])
@pytest.mark.parametrize("hashes", [1, 2, 7])
def test_texts_that_share_a_hash_have_different_positions(monkeypatch, hashes, high):
    def worse(texts):
        low = np.array([len(t or "") % hashes for t in texts], np.uint64)
        return low | np.array([high(len(t or "")) << 32 for t in texts], np.uint64)

    monkeypatch.setattr(lookup, "_hashes", worse)
    values = ["a", "bb", "ccc", "dddd"]
    texts = ["dddd", "x", "bb", None, "yy", "a", "ccc", "zzzzz"]
    for known in (values, values[:1], values[:2]):
        found = Lookup(pl.Series(known)).find(pl.Series(texts))
        assert found.tolist() == _expected(known, texts)
