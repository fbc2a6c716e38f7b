"""The trials of a study: claimed once, retried if their worker dies, counted exactly."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_study import C, N, X, open_trials, run_one

from ctrkit.search.params.config import ParamsSearchConfig
from ctrkit.search.params.study import Trials, suggest


def test_study_runs_exactly_its_trials(tmp_path):
    trials = open_trials(tmp_path, trials=3)
    assert [run_one(trials) for _ in range(4)] == [0, 1, 2, None]
    assert trials.done()
    again = open_trials(tmp_path, trials=5)
    assert not again.done()
    assert [run_one(again) for _ in range(3)] == [3, 4, None]


def test_resumed_worker_draws_the_same_points(tmp_path):
    whole = open_trials(tmp_path / "a", trials=8, startup_trials=3, seed=1)
    while run_one(whole) is not None:
        pass
    for _ in range(8):  # a process each
        run_one(open_trials(tmp_path / "b", trials=8, startup_trials=3, seed=1))
    cut = open_trials(tmp_path / "b", trials=8)
    drawn = [[t.params for t in s.attempts()] for s in (whole, cut)]
    assert drawn[0] == drawn[1]
    assert len({str(p) for p in drawn[0]}) == 8


def test_first_trial_of_a_study_tries_the_start_point(tmp_path):
    settings = ParamsSearchConfig(trials=3)
    for _ in range(3):  # a process each; the study is begun once
        trials = Trials(settings, tmp_path, "study", 0, None, {X.key: 0.25})
        run_one(trials)
    first, *others = trials.attempts()
    assert first.params[X.key] == 0.25
    assert C.key in first.params  # of what it is not told it draws the rest
    assert [t.slot for t in others] == [1, 2]
    assert all(t.params[X.key] != 0.25 for t in others)


def test_interrupted_first_trial_is_retried_with_the_same_point(tmp_path):
    trials = Trials(ParamsSearchConfig(trials=1), tmp_path, "study", 0, None, {X.key: 0.25})
    claim = trials.claim()
    suggest(claim.trial, X)
    trials.interrupt(claim)
    claim.lock.release()
    assert run_one(trials) == 0
    assert trials.done()
    assert trials.slots()[0].params[X.key] == 0.25


def test_choices_keep_their_types(tmp_path):
    trials = open_trials(tmp_path, trials=1)
    claim = trials.claim()
    with trials.running(claim):
        assert suggest(claim.trial, C) in C.choices
        assert 4 <= suggest(claim.trial, N) <= 16
        trials.complete(claim, [1.0])


DIE = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from small_study import X, open_trials
from ctrkit.search.params.study import suggest
command = int(sys.argv[3]) if len(sys.argv) > 3 else None
trials = open_trials(Path(sys.argv[1]), trials=2, command=command)
claim = trials.claim()
print(claim.slot, claim.retries, suggest(claim.trial, X), flush=True)
os._exit(9)
"""


def die(folder: Path, *command_of: int) -> list[str]:
    root = Path(__file__).parent
    command = [sys.executable, "-c", DIE, str(folder), str(root), *map(str, command_of)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 9, done.stderr
    return done.stdout.split()


@pytest.mark.slow
def test_trial_of_a_dead_worker_is_retried_at_most_twice(tmp_path):
    trials = open_trials(tmp_path, trials=2)
    with trials.locks.command():
        told = [die(tmp_path, os.getpid()) for _ in range(3)]
        assert [t[:2] for t in told] == [["0", "0"], ["0", "1"], ["0", "2"]]
        assert len({t[2] for t in told}) == 1, "another point was tried"
        assert run_one(trials) == 3  # a slot is named by its first trial
    assert run_one(trials) is None
    assert trials.done()
    assert {n: t.state for n, t in trials.slots().items()} == {0: "FAIL", 3: "COMPLETE"}


def test_trial_that_was_killed_with_its_command_is_retried_however_often(tmp_path):
    told = [die(tmp_path) for _ in range(4)]
    assert [t[:2] for t in told] == [["0", "0"]] * 4
    assert len({t[2] for t in told}) == 1, "another point was tried"
    trials = open_trials(tmp_path, trials=2)
    assert [run_one(trials), run_one(trials)] == [0, 5]
    assert {t.state for t in trials.slots().values()} == {"COMPLETE"}


def test_retries_change_no_later_draw(tmp_path):
    whole = open_trials(tmp_path / "a", trials=5, startup_trials=2, seed=1)
    while run_one(whole) is not None:
        pass
    for _ in range(5):
        for complete in (False, True):  # killed after half of its point was drawn, then run
            trials = open_trials(tmp_path / "b", trials=5, startup_trials=2, seed=1)
            if complete:
                run_one(trials)
            else:
                claim = trials.claim()
                suggest(claim.trial, X)
                claim.lock.release()
    drawn = [[t.params for t in s.slots().values()] for s in (whole, trials)]
    assert drawn[0] == drawn[1]


def test_half_a_line_at_the_end_of_a_journal_is_removed(tmp_path):
    run_one(open_trials(tmp_path, trials=3))
    with (tmp_path / "workers" / "study.journal").open("ab") as file:
        file.write(b'{"op_code": 4, "wor')
    trials = open_trials(tmp_path, trials=3)
    assert [run_one(trials), run_one(trials), run_one(trials)] == [1, 2, None]
    assert open_trials(tmp_path, trials=3).done()


def test_successful_retry_counts_once(tmp_path):
    die(tmp_path)
    trials = open_trials(tmp_path, trials=2)
    assert [run_one(trials), run_one(trials), run_one(trials)] == [0, 2, None]
    assert {n: t.state for n, t in trials.slots().items()} == {0: "COMPLETE", 2: "COMPLETE"}
    assert len(trials.attempts()) == 3


def test_running_trial_is_not_claimed_twice(tmp_path):
    trials, other = open_trials(tmp_path, trials=2), open_trials(tmp_path, trials=2)
    first = trials.claim()
    second = other.claim()
    assert (first.slot, second.slot) == (0, 1)
    assert trials.claim() is None
    assert not trials.done()
    for owner, claim in ((trials, first), (other, second)):
        with owner.running(claim):
            owner.complete(claim, [1.0])
    assert trials.done()


def test_interrupted_trial_counts_no_retry(tmp_path):
    for _ in range(4):
        trials = open_trials(tmp_path, trials=1)
        claim = trials.claim()
        assert (claim.slot, claim.retries) == (0, 0)
        with trials.running(claim):
            trials.interrupt(claim)
    assert run_one(open_trials(tmp_path, trials=1)) == 0


def test_failed_trial_is_not_retried(tmp_path):
    trials = open_trials(tmp_path, trials=1)
    claim = trials.claim()
    with trials.running(claim):
        trials.fail(claim, "the loss is not finite")
    assert trials.done()
    assert trials.claim() is None
