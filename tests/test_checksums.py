"""Damage of any file of any folder is named, repaired, or changes no result."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

import ctrkit
from ctrkit import jobs
from ctrkit.checksums import CHECKSUMS, add_checksums, damaged_file, rewriting, write_checksums
from ctrkit.data.encode.encoder import Encoder
from ctrkit.data.read.sources import open_source
from ctrkit.data.store.batches import Batches
from ctrkit.data.store.dataset import EncodeOptions, prepare_dataset
from ctrkit.data.store.shards import Shards
from ctrkit.errors import CtrkitError
from ctrkit.rank.folder import pairs_from_ranking
from ctrkit.runs.inputs import TextOptions, open_job
from ctrkit.schema import Field, Schema
from ctrkit.search.features.gates import ValueDecision
from ctrkit.search.interactions.operations import PairDecision
from ctrkit.testing.generated import xor_fields
from ctrkit.train.checkpoint import load_checkpoint, save_checkpoint

FRAME = xor_fields(600, 3, fields=3, pair=(0, 2))[0].with_columns(
    site=pl.Series([f"s{i % 7}" for i in range(600)])
)
NAMES = ("f0", "f1", "f2", "site")
SCHEMA = Schema(tuple(Field(n, "categorical") for n in NAMES), label="label")

PLUGIN = '''
from torch import nn
from ctrkit import interaction

@interaction("checksums_test_sum")
class Sum(nn.Module):
    """Sum of everything."""

    def __init__(self, fields: int, dim: int) -> None:
        super().__init__()
        self.out_dim = 1

    def forward(self, x):
        return x.sum(dim=(1, 2))[:, None]  # (B, 1)
'''


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows, and a folder of each kind."""
    place = tmp_path_factory.mktemp("folders")
    rows, plugin = place / "rows.parquet", place / "plug.py"
    FRAME.write_parquet(rows)
    plugin.write_text(PLUGIN)
    SCHEMA.save(place / "schema.toml")
    sets = ["train.epochs=1", "data.cache=false", "track.uri=none"]
    jobs.train(rows, model="lr", out=place / "run", set=sets, plugins=[plugin])
    jobs.explain(place / "run", rows, rows=50, top=2, trust_plugins=True)
    shutil.copytree(place / "run" / "encoder", place / "encoder")
    jobs.encode(rows, out=place / "shards")
    jobs.rank(rows, out=place / "rank", order=2)
    save_checkpoint(place / "checkpoint", {"model": {"w": torch.arange(50.0)}, "step": 7})
    _read_cache(place / "cache", rows)
    return place


def _read_run(folder: Path, rows: Path) -> object:
    scores = ctrkit.load(folder, trust_plugins=True).predict(FRAME)
    jobs.report([folder], out=folder.parent / "report.json", force=True)
    return scores.tolist(), json.loads((folder.parent / "report.json").read_text())


def _read_encoder(folder: Path, rows: Path) -> object:
    encoder = Encoder.load(folder)
    return encoder.layout().to_json(), encoder.encode(FRAME).codes.tolist()


def _read_shards(folder: Path, rows: Path) -> object:
    return _contents(Shards(folder)), _read_encoder(folder / "encoder", rows)


def _read_cache(folder: Path, rows: Path) -> object:
    dataset = prepare_dataset(open_source(rows), SCHEMA, EncodeOptions(cache=folder))
    return _contents(dataset.shards), dataset.layout.to_json()


def _contents(shards: Shards) -> object:
    splits = ("train", "validation", "test")
    batches = [b for s in splits for b in Batches(shards, s, 4096, shuffle=False).epoch(0)]
    return [(b.codes.tolist(), b.label.tolist()) for b in batches]


def _read_rank(folder: Path, rows: Path) -> object:
    schema = open_job(TextOptions(str(rows), str(folder / "schema.toml")), {}).schema
    return schema, pairs_from_ranking(folder, noise=True)


def _read_checkpoint(folder: Path, rows: Path) -> object:
    state = load_checkpoint(folder)
    return "from the start" if state is None else repr(state)


READ: dict[str, Callable[[Path, Path], object]] = {
    "run": _read_run,
    "encoder": _read_encoder,
    "shards": _read_shards,
    "cache": _read_cache,
    "rank": _read_rank,
    "checkpoint": _read_checkpoint,
}


def _flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= 1
    path.write_bytes(content)


def _damages() -> Iterator[tuple[str, Callable[[Path], object]]]:
    yield "first byte flipped", lambda path: _flip(path, 0)
    yield "byte in the middle flipped", lambda path: _flip(path, path.stat().st_size // 2)
    yield "last byte flipped", lambda path: _flip(path, -1)
    yield (
        "cut in half",
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    )
    yield "empty", lambda path: path.write_bytes(b"")
    yield "deleted", Path.unlink


DAMAGES = dict(_damages())
QUICK = ("byte in the middle flipped", "cut in half", "deleted")
CASES = [pytest.param(d, marks=() if d in QUICK else pytest.mark.slow) for d in DAMAGES]


@pytest.mark.parametrize("damage", CASES)
@pytest.mark.parametrize("kind", READ)
def test_damage_of_any_file_is_named_or_repaired_or_harmless(
    kind: str, damage: str, place: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows, folder = place / "rows.parquet", tmp_path / "copy" / kind
    expected = READ[kind](place / kind, rows)
    files = [p.relative_to(place / kind) for p in (place / kind).rglob("*") if p.is_file()]
    locks = [name for name in files if ".use-" in name.name or name.suffix == ".lock"]
    for name in [name for name in files if name not in locks]:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(place / kind, folder)
        DAMAGES[damage](folder / name)
        caplog.clear()
        try:
            result, error = READ[kind](folder, rows), ""
        except (CtrkitError, OSError) as caught:
            result, error = None, str(caught)
        named = name.name in error or name.name in caplog.text
        assert named or result in (expected, "from the start"), (name, error)
        assert error.count("\n") == 0, error


def test_a_file_of_checksums_that_is_damaged_is_the_one_that_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    path = tmp_path / CHECKSUMS
    write_checksums(path, tmp_path)
    assert damaged_file(tmp_path, path) == ""
    text = path.read_text()
    assert json.loads(text)["files"].keys() == {"a"}
    for position in range(len(text)):
        path.write_text(text)
        _flip(path, position)
        assert damaged_file(tmp_path, path) in ("", CHECKSUMS)


def test_the_first_files_of_checksums_had_none_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"123456789")
    (tmp_path / CHECKSUMS).write_text('{"a": 3421780262}')  # the check value of CRC-32
    assert damaged_file(tmp_path, tmp_path / CHECKSUMS) == ""
    (tmp_path / "a").write_bytes(b"123456780")
    assert damaged_file(tmp_path, tmp_path / CHECKSUMS) == "a"


@pytest.mark.parametrize("name", ["/dev/zero", "../secret", "a/../../secret"])
def test_checksums_name_files_of_their_folder_alone(tmp_path: Path, name: str) -> None:
    (tmp_path / CHECKSUMS).write_text(json.dumps({name: 1}))
    assert damaged_file(tmp_path, tmp_path / CHECKSUMS) == CHECKSUMS


def test_a_device_in_place_of_a_file_is_damage(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("/dev/zero")
    (tmp_path / CHECKSUMS).write_text('{"a": 1}')
    assert damaged_file(tmp_path, tmp_path / CHECKSUMS) == "a"


def test_files_that_are_being_rewritten_are_not_checked(tmp_path: Path) -> None:
    path = tmp_path / CHECKSUMS
    for name in "ab":
        (tmp_path / name).write_text(name)
    add_checksums(tmp_path, "ab")
    assert not path.exists()
    add_checksums(tmp_path, "ab", create=True)
    with rewriting(tmp_path, "a"):
        (tmp_path / "a").write_text("new")
        assert damaged_file(tmp_path, path) == ""
        (tmp_path / "b").write_text("new")
        assert damaged_file(tmp_path, path) == "b"
        (tmp_path / "b").write_text("b")
    assert damaged_file(tmp_path, path) == ""
    (tmp_path / "a").write_text("newer")
    assert damaged_file(tmp_path, path) == "a"
    assert damaged_file(tmp_path, path, ["b"]) == ""


def test_an_edited_schema_of_a_ranking_is_used_with_a_warning(
    place: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(place / "rank", tmp_path / "rank")
    path = tmp_path / "rank" / "schema.toml"
    options = TextOptions(str(place / "rows.parquet"), str(path))
    with caplog.at_level(logging.WARNING):
        open_job(options, {})
        assert not caplog.messages
        path.write_text(path.read_text().replace("categorical", "numeric", 1))
        open_job(options, {})
    assert [str(path) in text for text in caplog.messages] == [True]


DECISIONS = (
    ValueDecision(
        gate=np.ones(3, np.float32),
        kept=np.ones(3, bool),
        snapshot={"w": torch.arange(3.0)},
        penalty=0.1,
        silent=["a"],
        touched_only=False,
        seconds=1.0,
    ),
    PairDecision(["naive"], np.eye(3)[:1], 0.5, 1.0, 10),
)


@pytest.mark.parametrize("decision", DECISIONS, ids=["values", "pairs"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_decision_of_a_search_is_made_again(
    decision: ValueDecision | PairDecision,
    damage: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "whole").mkdir()
    decision.save(tmp_path / "whole")
    assert repr(type(decision).load(tmp_path / "whole")) == repr(decision)
    for path in [p for p in (tmp_path / "whole").iterdir() if p.name != CHECKSUMS]:
        folder = tmp_path / path.name
        shutil.copytree(tmp_path / "whole", folder)
        caplog.clear()
        DAMAGES[damage](folder / path.name)
        assert type(decision).load(folder) is None
        assert path.name in caplog.text or not (folder / path.name).exists()
        decision.save(folder)
        assert type(decision).load(folder) is not None
