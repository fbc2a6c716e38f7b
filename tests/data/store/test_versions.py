"""Encoded rows are used again only while the rows are the same."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ctrkit.data.infer import Overrides, infer_schema
from ctrkit.data.read.sources import open_source
from ctrkit.data.read.version import file_version
from ctrkit.data.store.dataset import EncodeOptions, prepare_dataset


def write(path: Path, seed: int) -> None:
    """Write rows that differ by seed, in a file of one size."""
    draw = np.random.default_rng(seed)
    rows = pl.DataFrame({"click": draw.integers(0, 2, 300), "site": draw.integers(0, 9, 300)})
    rows.write_csv(path)


def encoded(address: str, cache: Path) -> tuple[bool, int]:
    """Return whether the cache held the rows, and the positive rows of training."""
    source = open_source(address)
    schema, _ = infer_schema(source, Overrides(label="click"))
    dataset = prepare_dataset(source, schema, EncodeOptions(cache=cache))
    return dataset.info.cache_hit, dataset.info.positives["train"]


def test_a_file_of_the_same_size_and_time_with_other_rows_is_encoded_again(tmp_path):
    path, cache = tmp_path / "rows.csv", tmp_path / "cache"
    write(path, 0)
    state = path.stat()
    first = encoded(str(path), cache)
    assert encoded(str(path), cache) == (True, first[1])
    write(path, 1)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert path.stat().st_size == state.st_size
    again = encoded(str(path), cache)
    assert (again[0], again[1] != first[1]) == (False, True)


@pytest.mark.parametrize(("name", "hit"), [("tagged.csv", True), ("rows.csv", False)])
def test_an_address_is_encoded_again_unless_its_server_states_a_version(
    server, tmp_path, name, hit
):
    """Without one, nobody knows whether the content is still the same."""
    cache = tmp_path / "cache"
    write(tmp_path / name, 0)
    first = encoded(f"{server}/{name}", cache)
    assert first[0] is False
    assert encoded(f"{server}/{name}", cache) == (hit, first[1])
    write(tmp_path / name, 1)
    again = encoded(f"{server}/{name}", cache)
    assert (again[0], again[1] != first[1]) == (False, True)


def test_versions_of_objects_are_their_sizes_and_times(tmp_path):
    path = tmp_path / "rows.csv"
    write(path, 0)
    state = path.stat()
    assert file_version(f"file://{path}") == [state.st_size, state.st_mtime_ns]
    assert file_version(f"file://{tmp_path}/none.csv") is None
    assert file_version("nowhere://bucket/rows.csv") is None
