"""Trials shared by strangers: claimed once, retried when their worker dies, counted exactly."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ctrkit.errors import ConfigError
from ctrkit.search.params.config import ParamsSearchConfig
from ctrkit.search.params.dimension import Dimension
from ctrkit.search.params.pareto import best_of, front, importances
from ctrkit.search.params.samplers import Pruning, make_pruner, make_sampler, prunes
from ctrkit.search.params.storage import hide_password, same_database
from ctrkit.search.params.study import Trials, suggest
from ctrkit.train import Context, Pruned

X = Dimension("train.lr", "float", 0.1, 1.0, log=True)
N = Dimension("model.dim", "int", 4, 16)
C = Dimension("model.mlp.hidden", "choice", choices=((8,), (8, 8)))


def open_trials(folder: Path, seed: int = 0, **settings) -> Trials:
    return Trials(ParamsSearchConfig(**settings), folder, "study", seed, None)


def run_one(trials: Trials, value: float | None = None) -> int | None:
    claim = trials.claim()
    if claim is None:
        return None
    with trials.running(claim):
        x = suggest(claim.trial, X)
        suggest(claim.trial, C)
        trials.complete(claim, [x if value is None else value])
    return claim.slot


def test_a_search_makes_its_trials_and_no_more(tmp_path):
    trials = open_trials(tmp_path, trials=3)
    assert [run_one(trials) for _ in range(4)] == [0, 1, 2, None]
    assert trials.done()
    again = open_trials(tmp_path, trials=5)
    assert not again.done()
    assert [run_one(again) for _ in range(3)] == [3, 4, None]


def test_one_worker_draws_the_same_points_however_often_it_is_cut(tmp_path):
    whole = open_trials(tmp_path / "a", trials=8, startup_trials=3, seed=1)
    while run_one(whole) is not None:
        pass
    for _ in range(8):  # a process each
        run_one(open_trials(tmp_path / "b", trials=8, startup_trials=3, seed=1))
    cut = open_trials(tmp_path / "b", trials=8)
    drawn = [[t.params for t in s.attempts()] for s in (whole, cut)]
    assert drawn[0] == drawn[1]
    assert len({str(p) for p in drawn[0]}) == 8


def test_the_first_trial_of_a_study_tries_what_it_is_told_to(tmp_path):
    settings = ParamsSearchConfig(trials=3)
    for _ in range(3):  # a process each; the study is begun once
        trials = Trials(settings, tmp_path, "study", 0, None, {X.key: 0.25})
        run_one(trials)
    first, *others = trials.attempts()
    assert first.params[X.key] == 0.25
    assert C.key in first.params  # of what it is not told it draws the rest
    assert [t.slot for t in others] == [1, 2]
    assert all(t.params[X.key] != 0.25 for t in others)


def test_a_first_trial_whose_worker_died_is_tried_again_with_the_same_point(tmp_path):
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
from tests.search.params.test_study import X, open_trials
from ctrkit.search.params.study import suggest
trials = open_trials(Path(sys.argv[1]), trials=2)
claim = trials.claim()
print(claim.slot, claim.retries, suggest(claim.trial, X), flush=True)
os._exit(9)
"""


def die(folder: Path) -> list[str]:
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", DIE, str(folder), str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 9, done.stderr
    return done.stdout.split()


@pytest.mark.slow
def test_a_dead_workers_trial_is_tried_again_at_most_twice(tmp_path):
    told = [die(tmp_path) for _ in range(3)]
    assert [t[:2] for t in told] == [["0", "0"], ["0", "1"], ["0", "2"]]
    assert len({t[2] for t in told}) == 1, "another point was tried"
    trials = open_trials(tmp_path, trials=2)
    assert run_one(trials) == 3  # a slot is named by its first trial
    assert run_one(trials) is None
    assert trials.done()
    assert {n: t.state for n, t in trials.slots().items()} == {0: "FAIL", 3: "COMPLETE"}


def test_a_retry_that_ends_well_counts_once(tmp_path):
    die(tmp_path)
    trials = open_trials(tmp_path, trials=2)
    assert [run_one(trials), run_one(trials), run_one(trials)] == [0, 2, None]
    assert {n: t.state for n, t in trials.slots().items()} == {0: "COMPLETE", 2: "COMPLETE"}
    assert len(trials.attempts()) == 3


def test_a_running_trial_is_nobody_elses(tmp_path):
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


def test_an_interrupted_trial_costs_no_attempt(tmp_path):
    for _ in range(4):
        trials = open_trials(tmp_path, trials=1)
        claim = trials.claim()
        assert (claim.slot, claim.retries) == (0, 0)
        with trials.running(claim):
            trials.interrupt(claim)
    assert run_one(open_trials(tmp_path, trials=1)) == 0


def test_a_fault_of_the_trial_itself_is_final(tmp_path):
    trials = open_trials(tmp_path, trials=1)
    claim = trials.claim()
    with trials.running(claim):
        trials.fail(claim, "the loss is not finite")
    assert trials.done()
    assert trials.claim() is None


def test_pruning_reports_and_stops_and_reports_again_after_a_resume(tmp_path):
    trials = open_trials(tmp_path, trials=9, prune_after=2, warmup=0)
    for value in (0.1, 0.2):
        claim = trials.claim()
        with trials.running(claim):
            watch = Pruning(claim.trial, "logloss")
            watch.evaluated(context(), {"logloss": value})
            watch.evaluated(context(), {"logloss": value})
            trials.complete(claim, [value])
    claim = trials.claim()
    watch = Pruning(claim.trial, "logloss")
    with trials.running(claim), pytest.raises(Pruned):
        watch.evaluated(context(), {"logloss": 0.9})
    trials.prune(claim)
    claim = trials.claim()
    resumed = Pruning(claim.trial, "logloss")
    resumed.load_state_dict(watch.state_dict())
    assert trials.study.trials[claim.trial.number].intermediate_values == {0: 0.9}
    with trials.running(claim), pytest.raises(Pruned):
        resumed.evaluated(context(), {"logloss": 0.9})


def context() -> Context:
    return Context(None, None, 10)  # type: ignore[arg-type]


def test_only_one_objective_on_the_labels_prunes():
    assert prunes(ParamsSearchConfig())
    assert not prunes(ParamsSearchConfig(objectives=("logloss", "bytes")))
    assert not prunes(ParamsSearchConfig(objectives=("bytes",)))
    assert not prunes(ParamsSearchConfig(pruner="none"))
    assert not prunes(ParamsSearchConfig(over="features"))


@pytest.mark.parametrize("name", ["tpe", "random", "gp", "nsgaii", "qmc"])
def test_every_sampler_draws_conditional_points(name, tmp_path):
    trials = open_trials(tmp_path, trials=5, sampler=name, startup_trials=2)
    for _ in range(5):
        claim = trials.claim()
        with trials.running(claim):
            value = suggest(claim.trial, X)
            if value > 0.3:
                value += suggest(claim.trial, N)
            trials.complete(claim, [value])
    assert len({t.params["train.lr"] for t in trials.attempts()}) == 5


@pytest.mark.parametrize("name", ["auto", "median", "hyperband", "halving", "none"])
def test_every_pruner_is_made(name):
    assert make_pruner(ParamsSearchConfig(pruner=name)) is not None
    assert make_sampler(ParamsSearchConfig(), 0) is not None


def test_the_front_and_the_best(tmp_path):
    trials = open_trials(tmp_path, trials=4, objectives=("auc", "bytes"))
    for values in ([0.7, 10.0], [0.8, 20.0], [0.6, 30.0], [0.7, 5.0]):
        claim = trials.claim()
        with trials.running(claim):
            suggest(claim.trial, X)
            trials.complete(claim, values)
    ended = list(trials.finished().values())
    assert [t.number for t in front(ended, ("auc", "bytes"))] == [1, 3]
    best = best_of(ended, ("auc", "bytes"))
    assert best is not None
    assert best.number == 1


def test_importance_finds_what_matters_and_says_how_many_trials_stand_behind_it(tmp_path):
    trials = open_trials(tmp_path, trials=40, sampler="random")
    for _ in range(40):
        claim = trials.claim()
        with trials.running(claim):
            x, n = suggest(claim.trial, X), suggest(claim.trial, N)
            if n > 12:
                suggest(claim.trial, C)
            trials.complete(claim, [x])
    found = importances(trials.study, 0)
    assert found["train.lr"][0] > found["model.dim"][0]
    assert found["train.lr"][1] == 40
    assert 0 < found["model.mlp.hidden"][1] < 40
    few = open_trials(tmp_path / "few", trials=3)
    run_one(few)
    assert importances(few.study, 0) == {}


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("postgresql+psycopg://me:x@localhost/a", "postgresql://you@127.0.0.1:5432/a", True),
        ("postgresql://h/a", "postgresql://h/b", False),
        ("postgresql://h/a", "postgresql://h:5433/a", False),
        ("sqlite:///a.db", "sqlite:////nowhere/a.db", False),
        ("sqlite:///a.db", f"sqlite:///{Path('a.db').absolute()}", True),
        ("http://127.0.0.1:5000", "postgresql://h/a", False),
    ],
)
def test_one_database_is_recognised(a, b, same):
    assert same_database(a, b) is same


def test_a_database_that_does_not_answer_is_one_line_without_the_password(tmp_path):
    url = "postgresql+psycopg://me:secret@127.0.0.1:9/nothing"
    with pytest.raises(ConfigError, match=r"search\.storage") as error:
        Trials(ParamsSearchConfig(), tmp_path, "study", 0, url)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)
    assert hide_password(url) == "postgresql+psycopg://me:***@127.0.0.1:9/nothing"
