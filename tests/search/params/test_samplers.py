"""Samplers and pruners by name, and pruning within a trial."""

from __future__ import annotations

import pytest
from small_study import N, X, open_trials

from ctrkit.registry import registry
from ctrkit.search.params.config import ParamsSearchConfig
from ctrkit.search.params.samplers import Pruning, make_pruner, make_sampler, prunes
from ctrkit.search.params.study import suggest
from ctrkit.train import Context, Pruned


def test_pruning_reports_prunes_and_reports_again_after_a_resume(tmp_path):
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


def test_pruning_needs_a_single_objective_on_the_labels():
    assert prunes(ParamsSearchConfig())
    assert not prunes(ParamsSearchConfig(objectives=("logloss", "bytes")))
    assert not prunes(ParamsSearchConfig(objectives=("bytes",)))
    assert not prunes(ParamsSearchConfig(pruner="none"))
    assert not prunes(ParamsSearchConfig(over="features"))


@pytest.mark.parametrize("name", registry.names("sampler"))
def test_samplers_draw_conditional_points(name, tmp_path):
    trials = open_trials(tmp_path, trials=5, sampler=name, startup_trials=2)
    for _ in range(5):
        claim = trials.claim()
        with trials.running(claim):
            value = suggest(claim.trial, X)
            if value > 0.3:
                value += suggest(claim.trial, N)
            trials.complete(claim, [value])
    assert len({t.params["train.lr"] for t in trials.attempts()}) == 5


@pytest.mark.parametrize("name", registry.names("pruner"))
def test_pruners_exist_by_name(name):
    assert make_pruner(ParamsSearchConfig(pruner=name)) is not None
    assert make_sampler(ParamsSearchConfig(), 0) is not None
