"""The best trials: of one objective, of several, and what they depended on."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial as FrozenTrial
DIRECTION = {"logloss": "minimize", "auc": "maximize", "bytes": "minimize", "latency": "minimize"}


def front(trials: Sequence[FrozenTrial], objectives: Sequence[str]) -> list[FrozenTrial]:
    """Return the complete trials that no other beats in every objective, in order of number."""
    signs = [1.0 if DIRECTION[o] == "minimize" else -1.0 for o in objectives]
    done = [t for t in trials if t.state.name == "COMPLETE"]
    points = [tuple(s * v for s, v in zip(signs, t.values, strict=True)) for t in done]

    def beaten(p: tuple[float, ...]) -> bool:
        return any(q != p and all(a <= b for a, b in zip(q, p, strict=True)) for q in points)

    return [t for t, p in zip(done, points, strict=True) if not beaten(p)]


def best_of(trials: Sequence[FrozenTrial], objectives: Sequence[str]) -> FrozenTrial | None:
    """Return the trial with the best first objective; ties go to the first."""
    sign = 1.0 if DIRECTION[objectives[0]] == "minimize" else -1.0
    done = [t for t in trials if t.state.name == "COMPLETE"]
    return min(done, key=lambda t: sign * t.values[0], default=None)


def importances(study: optuna.Study, objective: int) -> dict[str, tuple[float, int]]:
    """Return of each drawn setting how much it mattered, and the trials behind the figure.

    The score is PED-ANOVA's, which knows settings that only some trials have.
    """
    import optuna

    done = [t for t in study.get_trials(deepcopy=False) if t.state.name == "COMPLETE"]
    if len(done) < 4 or len({t.values[objective] for t in done}) < 2:
        return {}
    counts = {name: sum(name in t.params for t in done) for t in done for name in t.params}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = optuna.importance.get_param_importances(
                study,
                evaluator=optuna.importance.PedAnovaImportanceEvaluator(),
                target=lambda t: float(t.values[objective]),
            )
        except (RuntimeError, ValueError):  # too few trials of some setting
            return {}
    return {name: (float(score), counts[name]) for name, score in found.items()}
