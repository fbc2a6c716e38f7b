"""Every registered split keeps the contract, and the contract finds what breaks it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pytest

from ctrkit import jobs
from ctrkit.data.read.chunks import Chunk
from ctrkit.data.read.sources import Source
from ctrkit.data.split.base import SplitPlan
from ctrkit.registry import register, registry
from ctrkit.schema import Field, Schema, Split
from ctrkit.testing.generated import planted_clicks
from ctrkit.testing.splits import check_split

PLUGIN = Path(__file__).parents[2] / "plugins" / "modulo_split.py"


@pytest.mark.parametrize("name", registry.names("split"))
def test_every_split_keeps_the_contract(name: str) -> None:
    failed = [v for v in check_split(name) if not v.ok]
    assert failed == []


def test_options_of_a_split_keep_the_contract() -> None:
    failed = [v for v in check_split("time", Split("time", embargo=5)) if not v.ok]
    assert failed == []


@pytest.mark.usefixtures("temporary")
def test_a_plug_in_adds_a_split_that_trains_and_scores(tmp_path: Path) -> None:
    assert [v for v in jobs.check(PLUGIN) if not v.ok] == []
    data, run = tmp_path / "clicks.parquet", tmp_path / "run"
    planted_clicks(600, seed=3)[0].write_parquet(data)
    (tmp_path / "schema.toml").write_text(
        Schema((Field("site", "categorical"),), label="click", split=Split("modulo")).to_toml()
    )
    config = ["train.epochs=1", "data.cache=false"]
    jobs.train(data, model="lr", plugins=[PLUGIN], set=config, out=run)
    described = json.loads((run / "dataset.json").read_text())
    assert described["split"]["by"] == "modulo"
    assert described["rows"] == {"train": 480, "validation": 60, "test": 60}
    assert jobs.evaluate(run, data, trust_plugins=True)["rows"] == 600
    again = tmp_path / "again"
    jobs.train(data, model="lr", plugins=[PLUGIN], set=[*config, "data.split=random"], out=again)
    assert json.loads((again / "dataset.json").read_text())["split"]["by"] == "random"


@pytest.mark.usefixtures("temporary")
def test_faults_are_found() -> None:
    @register("split", "faulty")
    @dataclass(frozen=True)
    class Faulty(SplitPlan):
        """By place within the chunk, with a description that is not JSON."""

        @classmethod
        def decide(cls, source: Source, schema: Schema, split: Split, seed: int) -> Self:
            return cls(split)

        def assign(self, chunk: Chunk) -> npt.NDArray[np.uint8]:
            return (np.arange(chunk.frame.height) % 3).astype(np.uint8)

        def decisions(self) -> dict[str, object]:
            return {"bounds": (1.0, 2.0)}

    failed = {v.name for v in check_split("faulty") if not v.ok}
    assert failed == {"any chunking", "description"}
