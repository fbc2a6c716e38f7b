"""The best trials by one objective or several, and which hyper-parameters mattered."""

from __future__ import annotations

from small_study import C, N, X, open_trials, run_one

from ctrkit.search.params.pareto import best_of, front, importances
from ctrkit.search.params.study import suggest


def test_pareto_set_and_best_trial(tmp_path):
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


def test_importance_ranks_keys_and_counts_their_trials(tmp_path):
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
