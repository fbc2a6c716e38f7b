"""Evaluation of a trained model: scores of rows, their metrics, and explanations.

``scoring``: batches or raw rows -> logits and labels. ``metrics``: these -> metrics by name.
``ablation``: log-loss increases by permutation, for any model. ``attention``: attention maps ->
pairs of fields and of values. ``explain``: both, on raw rows, as an ``Explanation``.
"""

from ctrkit.evaluate.explain import explain_source
from ctrkit.evaluate.explanation import Explanation, explanation_text
from ctrkit.evaluate.metrics import evaluate_scores
from ctrkit.evaluate.scoring import Scores, save_predictions, score_batches, score_source

__all__ = [
    "Explanation",
    "Scores",
    "evaluate_scores",
    "explain_source",
    "explanation_text",
    "save_predictions",
    "score_batches",
    "score_source",
]
