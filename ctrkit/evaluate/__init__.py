"""Evaluation of a trained model: scores of rows, their metrics, and explanations.

``scoring``: batches or raw rows -> logits and labels. ``judge``: these -> metrics. ``ablation``:
log-loss increases by permutation, for any model. ``attention``: attention maps -> pairs of fields
and of values. ``explain``: both, on raw rows, as an ``Explanation``.
"""

from ctrkit.evaluate.explain import explain_source
from ctrkit.evaluate.explanation import Explanation, explanation_text
from ctrkit.evaluate.judge import judge
from ctrkit.evaluate.scoring import Scores, save_predictions, score_batches, score_source

__all__ = [
    "Explanation",
    "Scores",
    "explain_source",
    "explanation_text",
    "judge",
    "save_predictions",
    "score_batches",
    "score_source",
]
