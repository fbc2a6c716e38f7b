"""SIGKILL at random moments of every verb: each chain of kills ends in the uninterrupted result."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import psutil
import pytest
from killing import left_over, search_result, without

from ctrkit.testing.generated import planted_clicks
from ctrkit.track.state import read_state

KILLS = int(os.environ.get("CTRKIT_TEST_KILLS", "100"))
LONGEST_CHAIN = 4
START = 0.3
"""Share of a process's life before which it only imports modules."""
TRAIN = ["train.epochs=2", "train.batch_size=256", "train.checkpoint_s=0.01"]
FEATURES = ["features.target_ratio=[0.5]", "features.epochs=1"]
RANDOM = ["search.sampler=random", "search.pruner=none"]
TIMES = {"seconds", "encode_rows_s", "timings", "created"}

Result = dict[str, object]


@dataclass(frozen=True)
class Verb:
    """A command whose processes are killed.

    Attributes:
        arguments: What follows ``ctrkit``; ``DATA`` and ``RUN`` stand for a file and a folder.
        result: Reads the result from the folder that the command was given in, and its stdout.
        tracked: Whether the run is tracked in a new store.
    """

    arguments: Sequence[str]
    result: Callable[[Path, str], Result]
    tracked: bool = False


def setting(*texts: str) -> list[str]:
    return [part for text in texts for part in ("--set", text)]


def job(verb: str, model: str, *more: str) -> list[str]:
    return [*verb.split(), "DATA", "--label", "click", "--model", model, "-o", "out", *more]


def files(*names: str) -> Callable[[Path, str], Result]:
    """Return a reader of files, byte by byte."""

    def read(place: Path, _: str) -> Result:
        return {name: (place / name).read_bytes() for name in names}

    return read


def printed(_: Path, output: str) -> Result:
    return {"printed": without(json.loads(output), TIMES)}


def ranking(place: Path, _: str) -> Result:
    features = json.loads((place / "out" / "rank.json").read_text())["features"]
    table = pl.read_parquet(place / "out" / "rank.parquet")
    return {"features": features, "table": table.to_dict(as_series=False)}


def encoding(place: Path, _: str) -> Result:
    out = place / "out"
    info = without(json.loads((out / "dataset.json").read_text()), TIMES)
    timed = ("dataset.json", "checksums.json")  # the second holds the checksum of the first
    names = sorted(p for p in out.rglob("*") if p.is_file() and p.name not in timed)
    return {"info": info, **{str(p.relative_to(out)): p.read_bytes() for p in names}}


def training(place: Path, _: str) -> Result:
    record = json.loads((place / "out" / "record.json").read_text())
    store, state = place / "home" / "mlflow.db", read_state(place / "out")
    status = None
    if state is not None:
        with closing(sqlite3.connect(store)) as database:
            query = "SELECT status FROM runs WHERE run_uuid = ?"
            status = database.execute(query, [state.run_id]).fetchall()
    names = ("model.safetensors", "predictions/test.parquet", "predictions/validation.parquet")
    return {
        "metrics": record["metrics"],
        "tracked": status,
        **{name: (place / "out" / name).read_bytes() for name in names},
    }


def searching(place: Path, _: str) -> Result:
    """Read the result of a search; hashes of configurations differ, as they hold paths."""
    result = search_result(place / "out")
    return {
        name: without(value, {"importances", "config_sha256"}) for name, value in result.items()
    }


VERBS = {
    "schema": Verb(
        ["schema", "DATA", "--label", "click", "-o", "schema.toml", "--force"],
        files("schema.toml"),
    ),
    "rank": Verb(["rank", "DATA", "--label", "click", "--order", "2", "-o", "out"], ranking),
    "rank --force": Verb(["rank", "DATA", "--label", "click", "-o", "out", "--force"], ranking),
    "encode": Verb(["encode", "DATA", "--label", "click", "-o", "out"], encoding),
    "train": Verb(job("train", "fm", *setting(*TRAIN)), training),
    "train, tracked": Verb(job("train", "fm", *setting(*TRAIN)), training, tracked=True),
    "evaluate": Verb(["evaluate", "RUN", "DATA", "--json"], printed),
    "predict": Verb(["predict", "RUN", "DATA", "-o", "p.parquet", "--force"], files("p.parquet")),
    "explain": Verb(["explain", "RUN", "DATA", "--json"], printed),
    "report": Verb(["report", "RUN", "-o", "page.html", "--force"], files("page.html")),
    "search features": Verb(
        job("search features", "lr", "--target-ratio", "0.5", *setting(*TRAIN, "search.epochs=1")),
        searching,
    ),
    "search interactions": Verb(
        job("search interactions", "lr", *setting(*TRAIN, "search.epochs=1")), searching
    ),
    "search params": Verb(job("search params", "lr", "--trials", "3", *setting(*TRAIN)), searching),
    "search params --jobs 2": Verb(
        job("search params", "lr", "--trials", "4", "--jobs", "2", *setting(*TRAIN, *RANDOM)),
        searching,
    ),
    "search pipeline": Verb(
        job(
            "search pipeline",
            "fm",
            *("--trials", "1", "--controls", "none"),
            *setting(*TRAIN, *FEATURES, "interactions.epochs=1", "model.dim=2"),
        ),
        searching,
    ),
}


@pytest.fixture(scope="module")
def draw() -> random.Random:
    seed = int(os.environ.get("CTRKIT_KILL_SEED") or random.SystemRandom().randrange(10**6))
    print(f"CTRKIT_KILL_SEED={seed}")
    return random.Random(seed)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the rows and a run."""
    place = tmp_path_factory.mktemp("inputs")
    frame = planted_clicks(1_200, seed=3)[0]
    frame.select("click", "site", "device", "ad", "segment", "age").write_parquet(
        place / "clicks.parquet"
    )
    verb = VERBS["train"]
    finish(start(place, place, verb), place, verb)
    (place / "out").rename(place / "run")
    return place


def start(place: Path, inputs: Path, verb: Verb) -> subprocess.Popen[str]:
    """Start a command in a folder that is its home as well."""
    names = {"DATA": str(inputs / "clicks.parquet"), "RUN": "run"}
    store = "" if verb.tracked else "none"
    env = {**os.environ, "CTRKIT_HOME": str(place / "home"), "CTRKIT_TRACKING_URI": store}
    env["OMP_NUM_THREADS"] = "1"
    return subprocess.Popen(
        [sys.executable, "-m", "ctrkit", *(names.get(a, a) for a in verb.arguments)],
        cwd=place,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str], place: Path, verb: Verb) -> Result:
    """Let a command end; return its result."""
    output, errors = process.communicate(timeout=300)
    refused = process.returncode == 2 and "overwrite it with --force" in " ".join(errors.split())
    assert process.returncode == 0 or refused, errors  # refused: it ended before it was killed
    assert "Traceback" not in errors
    return verb.result(place, output)


def kill(process: subprocess.Popen[str], draw: random.Random) -> None:
    """Kill a command, and its workers in every second case."""
    victims = [psutil.Process(process.pid)]
    if draw.random() < 0.5:
        victims += victims[0].children(recursive=True)
    for victim in victims:
        victim.send_signal(signal.SIGKILL)
    process.communicate()


def chain(
    place: Path, inputs: Path, verb: Verb, life: float, draw: random.Random, kills: int
) -> tuple[list[float], Result, float]:
    """Kill a command a few times, then let it end.

    Returns:
        The moments, the result, and the life of a process, corrected if one ended before.
    """
    moments: list[float] = []
    for _ in range(kills):
        moment = draw.uniform(START, 1) * life
        started = time.perf_counter()
        process = start(place, inputs, verb)
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            kill(process, draw)
            moments.append(round(moment, 2))
            continue
        life = life if moments else min(life, time.perf_counter() - started)
        break
    else:
        process = start(place, inputs, verb)
    return moments, finish(process, place, verb), life


def places(folder: Path, inputs: Path) -> Iterator[Path]:
    """Make folders, each with a copy of the run."""
    number = 0
    while True:
        place = folder / str(number)
        place.mkdir(parents=True)
        shutil.copytree(inputs / "run", place / "run")
        yield place
        number += 1


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("name", VERBS)
def test_every_chain_of_kills_ends_in_the_uninterrupted_result(name, inputs, draw, tmp_path):
    verb = VERBS[name]
    fresh = places(tmp_path, inputs)
    place = next(fresh)
    started = time.perf_counter()
    expected = finish(start(place, inputs, verb), place, verb)
    life = time.perf_counter() - started
    done, quota = 0, -(-KILLS // len(VERBS))
    while done < quota:
        place = next(fresh)
        length = min(draw.randint(1, LONGEST_CHAIN), quota - done)
        moments, result, life = chain(place, inputs, verb, life, draw, length)
        print(f"{name}: killed after {moments} of {life:.2f} s")
        done += len(moments)
        assert result.keys() == expected.keys()
        for part, value in expected.items():
            assert result[part] == value, f"{part}, after kills at {moments}"
        if "params" not in name and "pipeline" not in name:  # others may work in their folders
            assert left_over(place / "out") == []
