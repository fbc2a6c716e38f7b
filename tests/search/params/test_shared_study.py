"""A study shared by processes and machines that start at once or die."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from ctrkit.search.params.config import ParamsSearchConfig
from ctrkit.search.params.dimension import Dimension
from ctrkit.search.params.study import Trials, suggest

PROCESSES, ROUNDS, TRIALS = 4, 5, 6
X = Dimension("train.lr", "float", 0.1, 1.0, log=True)


def work(start: Barrier, places: list[tuple[str, str | None]]) -> None:
    """Join one study after the other, each at the same moment as the other processes."""
    for folder, url in places:
        start.wait(60)
        trials = Trials(ParamsSearchConfig(trials=TRIALS), Path(folder), "study", 0, url)
        while not trials.done():
            claim = trials.claim()
            if claim is None:
                time.sleep(0.05)
                continue
            with trials.running(claim):
                trials.complete(claim, [suggest(claim.trial, X)])


def together(places: Callable[[int], list[tuple[str, str | None]]]) -> None:
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(PROCESSES)
    processes = [spawn.Process(target=work, args=(start, places(i))) for i in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [p.exitcode for p in processes] == [0] * PROCESSES


def counted(folder: Path, url: str | None) -> None:
    trials = Trials(ParamsSearchConfig(trials=TRIALS), folder, "study", 0, url)
    assert [t.state for t in trials.slots().values()] == ["COMPLETE"] * TRIALS
    assert not any(t.retry_of is not None for t in trials.attempts())
    trials.close()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["journal", "sqlite"])
def test_four_processes_share_a_new_file(kind, tmp_path):
    urls = [
        None if kind == "journal" else f"sqlite:///{tmp_path / str(i)}.db" for i in range(ROUNDS)
    ]
    folders = [tmp_path / f"round-{i}" for i in range(ROUNDS)]
    together(lambda _: [(str(f), u) for f, u in zip(folders, urls, strict=True)])
    for folder, url in zip(folders, urls, strict=True):
        counted(folder, url)


@pytest.mark.postgres
def test_four_machines_share_a_new_database(fresh_database, tmp_path):
    urls = [fresh_database() for _ in range(ROUNDS)]
    together(lambda process: [(str(tmp_path / f"{process}-{i}"), u) for i, u in enumerate(urls)])
    for url in urls:
        counted(tmp_path / "look", url)


def die(folder: str, url: str, config: dict[str, int]) -> None:
    trials = Trials(ParamsSearchConfig(**config), Path(folder), "study", 0, url)
    claim = trials.claim()
    assert claim is not None
    with trials.running(claim):
        suggest(claim.trial, X)
        time.sleep(0.3)
        os._exit(9)


@pytest.mark.postgres
def test_trial_of_a_dead_machine_is_retried_after_the_grace_period(fresh_database, tmp_path):
    url, config = fresh_database(), {"trials": 2, "heartbeat": 1, "grace": 2}
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=die, args=(str(tmp_path / "a"), url, config))
    process.start()
    process.join(60)
    assert process.exitcode == 9
    other = Trials(ParamsSearchConfig(**config), tmp_path / "b", "study", 0, url)
    slots = []
    deadline = time.monotonic() + 30
    while not other.done():
        assert time.monotonic() < deadline
        claim = other.claim()
        if claim is None:
            time.sleep(0.2)
            continue
        with other.running(claim):
            slots.append((claim.slot, claim.retries))
            time.sleep(0.5)
            other.complete(claim, [suggest(claim.trial, X)])
    assert sorted(slots) == [(0, 1), (1, 0)]
    states = [t.state for t in other.attempts()]
    assert sorted(states) == ["COMPLETE", "COMPLETE", "FAIL"]
    other.close()


@pytest.mark.postgres
def test_running_trial_of_another_machine_is_not_retried(fresh_database, tmp_path):
    url, config = fresh_database(), ParamsSearchConfig(trials=1, heartbeat=1, grace=2)
    first = Trials(config, tmp_path / "a", "study", 0, url)
    claim = first.claim()
    with first.running(claim):
        second = Trials(config, tmp_path / "b", "study", 0, url)
        for _ in range(8):
            assert second.claim() is None
            time.sleep(0.5)
        first.complete(claim, [suggest(claim.trial, X)])
    assert second.done()
    assert len(second.attempts()) == 1
    for trials in (first, second):
        trials.close()
