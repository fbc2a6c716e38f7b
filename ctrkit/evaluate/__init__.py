"""Judging a trained model: scores of rows, and what its interactions are.

``scoring``: batches or raw rows -> logits beside labels. ``judge``: these -> metrics.
``attention``: what the attention maps say of field pairs. ``ablation``: what the log loss says of
them, for any model. ``explain``: both, on raw rows, as one plain dictionary.
"""

from ctrkit.evaluate.ablation import ablate
from ctrkit.evaluate.attention import attention_maps
from ctrkit.evaluate.explain import explain_rows, explain_source, explanation_text
from ctrkit.evaluate.judge import judge
from ctrkit.evaluate.scoring import Scores, save_predictions, score_batches, score_source

__all__ = [
    "Scores",
    "ablate",
    "attention_maps",
    "explain_rows",
    "explain_source",
    "explanation_text",
    "judge",
    "save_predictions",
    "score_batches",
    "score_source",
]
