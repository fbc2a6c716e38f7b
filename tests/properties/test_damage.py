"""Damaged files: what is read is right, or one line names the file."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
import pytest
from for_all import for_all, one_line
from hypothesis import strategies as st

from ctrkit import jobs
from ctrkit.bundle import Predictor, load
from ctrkit.data.encode.encoder import Encoder
from ctrkit.data.read.sources import open_source
from ctrkit.data.store.batches import Batches
from ctrkit.data.store.dataset import EncodeOptions, prepare_dataset
from ctrkit.errors import CtrkitError
from ctrkit.schema import Field, Schema
from ctrkit.testing.generated import planted_clicks

ROWS = 400


class Damage(NamedTuple):
    """What happens to a file of a folder.

    Attributes:
        file: Place of the file among those of the folder, from 0 to 1.
        kind: What happens.
        place: Place of the damage in the file, from 0 to 1.
        bit: Bit that is flipped.
    """

    file: float
    kind: str
    place: float
    bit: int

    def apply(self, folder: Path) -> Path:
        """Damage a file of the folder; return it."""
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        path = files[int(self.file * len(files))]
        content = bytearray(path.read_bytes())
        at = int(self.place * len(content))
        if self.kind == "flip" and content:
            content[at] ^= 1 << self.bit
        elif self.kind == "truncate":
            content = content[:at]
        elif self.kind == "garbage":
            content[at : at + 16] = b"\x00\xff{]\n\x1b[31m\x80garbage"
        path.unlink()
        if self.kind != "delete":
            path.write_bytes(content)
        return path


UNIT = st.floats(0, 1, exclude_max=True)
KINDS = st.sampled_from(["flip", "flip", "truncate", "delete", "garbage"])
DAMAGES = st.builds(Damage, UNIT, KINDS, UNIT, st.integers(0, 7))


class World(NamedTuple):
    """What was written before the damage."""

    folder: Path
    rows: pl.DataFrame
    scores: np.ndarray
    predictor: Predictor


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("damage")
    rows, _ = planted_clicks(ROWS, seed=3)
    rows.write_parquet(folder / "rows.parquet")
    few = ["train.epochs=1", "data.cache=false", "model.dim=4"]
    jobs.train(folder / "rows.parquet", label="click", model="fm", out=folder / "run", set=few)
    jobs.rank(folder / "rows.parquet", label="click", out=folder / "ranking")
    files = folder / "files"
    files.mkdir()
    rows.write_parquet(files / "a.parquet")
    rows.write_ipc(files / "b.arrow")
    rows.drop("interests").write_csv(files / "c.csv")
    rows.write_ipc(files / "d.feather", compression="zstd")
    rows.write_parquet(files / "e.pq", compression="uncompressed")
    predictor = load(folder / "run")
    return World(folder, rows, predictor.predict(rows), predictor)


def _copy(folder: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target)
    return target


def _attempt(work: Callable[[], object]) -> CtrkitError | None:
    """Do something; return the error that it ends in."""
    try:
        work()
    except CtrkitError as error:
        return one_line(error)
    return None


@for_all(25, 300, damage=DAMAGES)
def test_a_damaged_run_scores_as_before_or_names_the_file(world, tmp_path, damage):
    run = _copy(world.folder / "run", tmp_path / "run")
    path = damage.apply(run)

    def score() -> None:
        assert np.array_equal(load(run).predict(world.rows), world.scores)

    error = _attempt(score)
    name = str(run) if path.name == "checksums.json" else path.name
    assert error is None or name in str(error), (path, error)


@for_all(2, 20, damage=DAMAGES)
def test_a_damaged_run_is_reported_or_named(world, tmp_path, damage):
    run = _copy(world.folder / "run", tmp_path / "run")
    path = damage.apply(run)
    error = _attempt(lambda: jobs.report([run], out=tmp_path / "report.html", force=True))
    assert error is None or str(run) in str(error), (path, error)


@for_all(15, 160, damage=DAMAGES)
def test_a_damaged_encoder_is_read_or_named(world, tmp_path, damage):
    folder = _copy(world.folder / "run" / "encoder", tmp_path / "encoder")
    path = damage.apply(folder)
    error = _attempt(lambda: Encoder.load(folder).encode(world.rows))
    assert error is None or str(folder) in str(error), (path, error)


def read_and_score(world: World, path: Path) -> None:
    """Read all columns of a file; score the rows."""
    rows = sum(chunk.frame.height for chunk in open_source(path).chunks())
    scores = world.predictor.predict(path)
    assert len(scores) == rows
    assert np.isfinite(scores).all()


@for_all(20, 240, damage=DAMAGES)
def test_a_damaged_data_file_is_read_or_named(world, tmp_path, damage):
    folder = _copy(world.folder / "files", tmp_path / "files")
    path = damage.apply(folder)
    error = _attempt(lambda: read_and_score(world, path))
    assert error is None or str(path) in str(error), (path, error)


@for_all(10, 50, damage=DAMAGES)
def test_a_damaged_ranking_is_read_or_named(world, tmp_path, damage):
    folder = _copy(world.folder / "ranking", tmp_path / "ranking")
    path = damage.apply(folder)
    error = _attempt(lambda: Schema.load(folder / "schema.toml"))
    assert error is None or path.name in str(error), (path, error)


@for_all(4, 60, damage=DAMAGES)
def test_a_damaged_entry_of_the_cache_is_built_again(world, tmp_path, damage):
    source = open_source(world.folder / "rows.parquet")
    schema = Schema((Field("site", "categorical"), Field("price", "numeric")), label="click")
    options = EncodeOptions(cache=tmp_path / "cache")

    def batches() -> list[np.ndarray]:
        data = prepare_dataset(source, schema, options)
        return [b.codes for b in Batches(data.shards, "train", 64, shuffle=False).epoch(0)]

    shutil.rmtree(tmp_path / "cache", ignore_errors=True)
    first = batches()
    damage.apply(tmp_path / "cache")
    again = batches()
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
