"""Hashes are promises: golden values, and two implementations that agree."""

from __future__ import annotations

import random

import numpy as np
import polars as pl
import xxhash

from ctrkit.data.hashing import field_salt, fold, splitmix64, stable_hash, xxhash64

GOLDEN = {
    "": 0xEF46DB3751D8E999,
    "a": 0xD24EC4F1A98C6E5B,
    "0": 0x633457081244AFEC,
    "-1": 0x3D62C7C8A7A6E2D8,
    "abc": 0x44BC2CF5AD770999,
}


def test_golden_values_of_both_implementations() -> None:
    assert stable_hash(pl.Series("x", list(GOLDEN))).to_list() == list(GOLDEN.values())
    assert [xxhash64(text.encode()) for text in GOLDEN] == list(GOLDEN.values())


def test_every_length_agrees_with_the_reference() -> None:
    rng = random.Random(0)
    for length in range(100):
        text = "".join(rng.choice("abcé0") for _ in range(length))
        for seed in (0, 7, 2**32 - 1):
            expected = xxhash.xxh64_intdigest(text.encode(), seed)
            assert xxhash64(text.encode(), seed) == expected
            assert stable_hash(pl.Series("x", [text]), seed).item() == expected


def test_null_stays_null_and_differs_from_empty_text() -> None:
    assert stable_hash(pl.Series("x", [None, ""])).to_list() == [None, GOLDEN[""]]
    assert len(stable_hash(pl.Series("x", [], dtype=pl.String))) == 0


def test_splitmix_golden_and_fold_bounds() -> None:
    # First outputs of the reference generator from seed 0: state 0, then state 0 + golden gamma.
    states = np.array([0, 0x9E3779B97F4A7C15], np.uint64)
    assert splitmix64(states).tolist() == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]
    edges = np.array([0, 2**32 - 4, 2**32 - 3, 2**64 - 1], np.uint64)
    assert fold(edges).tolist() == [3, 2**32 - 1, 3, 3 + (2**64 - 1) % (2**32 - 3)]


def test_salt_is_the_hash_of_its_bytes() -> None:
    raw = "é".encode() + b"\0" + (5).to_bytes(4, "little") + (1).to_bytes(4, "little")
    assert field_salt("é", 5, 1) == xxhash.xxh64_intdigest(raw)
