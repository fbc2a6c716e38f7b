"""Results that are computed once and shared by trials, workers and later searches."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ctrkit import jobs
from ctrkit.config.sections import DataConfig
from ctrkit.runs import prepare
from ctrkit.runs.shared import shared_folder, shared_value
from ctrkit.search.interactions import pairs as interactions
from ctrkit.testing.generated import planted_clicks

ASK = """
import sys, time
from pathlib import Path
from ctrkit.config.sections import DataConfig
from ctrkit.runs.shared import shared_value

def find():
    with Path(sys.argv[1]).open("a") as file:
        file.write("found\\n")
    time.sleep(0.5)
    return [1, 2.5, "x"]

print(shared_value(DataConfig(), {"what": "answer"}, find))
"""


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("CTRKIT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_concurrent_processes_compute_a_shared_value_once(home, tmp_path):
    log = tmp_path / "log"
    asking = [
        subprocess.Popen([sys.executable, "-c", ASK, str(log)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    answers = [process.communicate(timeout=60)[0] for process in asking]
    assert answers == ["[1, 2.5, 'x']\n"] * 3
    assert log.read_text() == "found\n"


def test_other_facts_or_no_cache_compute_again(home):
    asked: list[int] = []

    def find() -> int:
        asked.append(1)
        return len(asked)

    assert [shared_value(DataConfig(), {"n": n}, find) for n in (0, 0, 1)] == [1, 1, 2]
    assert shared_value(DataConfig(cache=False), {"n": 0}, find) == 3


def test_failure_is_not_cached(home):
    def fail(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise OSError("no space left")

    for cache in (True, False):
        with (
            pytest.raises(OSError, match="no space"),
            shared_folder(DataConfig(cache=cache), {"n": 0}, fail),
        ):
            pass
        found = shared_value(DataConfig(cache=cache), {"n": 0}, lambda: "whole")
        assert found == "whole"


def test_crosses_are_counted_once_per_encoding_and_choice_of_pairs(home, tmp_path, monkeypatch):
    rows = tmp_path / "rows.parquet"
    planted_clicks(2_000, seed=1)[0].drop("time").write_parquet(rows)
    counted: list[int] = []
    whole = prepare.count_crosses

    def count(batches, layout, pairs):
        counted.append(len(pairs))
        return whole(batches, layout, pairs)

    monkeypatch.setattr(prepare, "count_crosses", count)
    small = [
        "train.epochs=1",
        "model.mlp.hidden=[4]",
        "model.dim=4",
        "model.pairs.op=memorize",
        "model.crosses=exact",
        f'data.schema="{_three_fields(rows, tmp_path)}"',
    ]

    def train(name: str, *settings: str) -> np.ndarray:
        jobs.train(rows, model="optinter", out=tmp_path / name, set=[*small, *settings])
        return np.load(tmp_path / name / "encoder" / "crosses" / "keys.npy")

    first = train("a")
    assert (train("b", "train.lr=0.01") == first).all()
    assert counted == [3], "the second run found the first one's count"
    train("c", "model.cross_min_count=7")
    assert (train("d", "data.cache=false") == first).all()
    assert counted == [3, 3, 3]


@pytest.mark.parametrize(
    ("crosses", "counter"), [("hashed", "distinct_crosses"), ("exact", "count_crosses")]
)
def test_pair_statistics_are_computed_once(home, tmp_path, monkeypatch, crosses, counter):
    rows = tmp_path / "rows.parquet"
    planted_clicks(2_000, seed=1)[0].drop("time").write_parquet(rows)
    asked: list[str] = []
    for name in (counter, "pair_information"):
        whole = getattr(interactions, name)
        monkeypatch.setattr(
            interactions,
            name,
            lambda *a, whole=whole, name=name, **k: asked.append(name) or whole(*a, **k),
        )
    records = [
        jobs.search_interactions(
            rows,
            out=tmp_path / f"s{seed}",
            seed=seed,
            controls="none",
            set=[
                "train.epochs=1",
                "search.epochs=1",
                "model.mlp.hidden=[4]",
                "model.dim=4",
                f'data.schema="{_three_fields(rows, tmp_path)}"',
                "train.batch_size=256",
                f"model.crosses={crosses}",
            ],
        ).record
        for seed in (0, 1)
    ]
    assert asked == [counter, "pair_information"]
    a, b = ([p["information"] for p in record["pairs"]] for record in records)
    assert a == b


def _three_fields(rows: Path, folder: Path) -> Path:
    path = folder / "schema.toml"
    if not path.is_file():
        schema, _ = jobs.schema(rows, label="click")
        schema.select(schema.names[:3]).save(path)
    return path
