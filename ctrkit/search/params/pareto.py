"""The best trials by one objective or several, and which hyper-parameters mattered."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from ctrkit.search.params.trial import COMPLETE, Attempt

if TYPE_CHECKING:
    import optuna
DIRECTION = {"logloss": "minimize", "auc": "maximize", "bytes": "minimize", "latency": "minimize"}


class Importance(NamedTuple):
    """How much a hyper-parameter matters.

    Attributes:
        score: Share of the importance of all, 0 to 1.
        trials: Number of complete trials that drew it.
    """

    score: float
    trials: int


def front(trials: Sequence[Attempt], objectives: Sequence[str]) -> list[Attempt]:
    """Return the Pareto set: the complete trials that no other dominates, in order of number."""
    signs = [1.0 if DIRECTION[o] == "minimize" else -1.0 for o in objectives]
    done = [t for t in trials if t.state == COMPLETE]
    points = [tuple(s * v for s, v in zip(signs, t.values, strict=True)) for t in done]

    def dominated(p: tuple[float, ...]) -> bool:
        return any(q != p and all(a <= b for a, b in zip(q, p, strict=True)) for q in points)

    return [t for t, p in zip(done, points, strict=True) if not dominated(p)]


def best_of(trials: Sequence[Attempt], objectives: Sequence[str]) -> Attempt | None:
    """Return the trial with the best first objective; ties go to the first."""
    sign = 1.0 if DIRECTION[objectives[0]] == "minimize" else -1.0
    done = [t for t in trials if t.state == COMPLETE]
    return min(done, key=lambda t: sign * t.values[0], default=None)


def importances(study: optuna.Study, objective: int) -> dict[str, Importance]:
    """Return the importance of each hyper-parameter for an objective.

    The score is PED-ANOVA's (arXiv:2304.10255), which handles hyper-parameters that only some
    trials have; empty if there are too few trials.
    """
    import optuna

    done = [t for t in study.get_trials(deepcopy=False) if t.state.name == COMPLETE]
    if len(done) < 4 or len({t.values[objective] for t in done}) < 2:
        return {}
    counts = {name: sum(name in t.params for t in done) for t in done for name in t.params}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            scores = optuna.importance.get_param_importances(
                study,
                evaluator=optuna.importance.PedAnovaImportanceEvaluator(),
                target=lambda t: float(t.values[objective]),
            )
        except (RuntimeError, ValueError):  # too few trials of some hyper-parameter
            return {}
    return {name: Importance(float(score), counts[name]) for name, score in scores.items()}
