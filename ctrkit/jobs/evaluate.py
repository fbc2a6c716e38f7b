"""``ctrkit evaluate``: the metrics of a run on labelled raw rows."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from ctrkit.bundle import load
from ctrkit.data.read.sources import open_source
from ctrkit.errors import CtrkitError, DataError
from ctrkit.evaluate import evaluate_scores, score_source
from ctrkit.files import refuse_existing, write_text
from ctrkit.metrics import reliability
from ctrkit.report import summarise_evaluation, write_report
from ctrkit.runs.inputs import PathLike, read_options


def evaluate(
    run: PathLike,
    data: PathLike,
    *,
    out: PathLike | None = None,
    sampling_rate: float | None = None,
    force: bool = True,
    trust_plugins: bool = False,
) -> dict[str, Any]:
    """Evaluate a run on labelled raw rows; return metrics with 95 % intervals.

    Args:
        run: The run folder, or a search folder (its winner).
        data: Raw rows with the label.
        out: File to write: the metrics as ``.json``, or a report with the calibration curve as
            ``.html`` or ``.md``.
        sampling_rate: Share of the negatives kept in ``data``; None: as in training. If it
            differs from that of training, the logits are shifted to match ``data``.
        force: Overwrite ``out`` if it exists.
        trust_plugins: Run the plug-in code in the run folder.

    Raises:
        DataError: The data hold no rows, no label, or invalid values.
    """
    predictor = load(run, trust_plugins=trust_plugins)
    source = open_source(str(data), read_options(predictor.config.data, predictor.schema.columns))
    scores = score_source(predictor, source)
    if not len(scores.label):
        raise DataError(f"{data} holds no rows to evaluate")
    shift = 0.0
    if sampling_rate is not None:
        shift = _log_rate(predictor.config.data.sampling_rate) - _log_rate(sampling_rate)
    metrics = evaluate_scores(scores, shift)
    if out is None:
        return metrics
    path = Path(out)
    if path.suffix in (".html", ".md"):
        refuse_existing(path, force=force)
        logit = scores.logit.astype(np.float64) + shift  # a shift in float32 would make ties
        bins = reliability(scores.label, logit, scores.weight)
        write_report(
            summarise_evaluation(f"{Path(run).name} judged", str(data), metrics, bins), path
        )
    else:
        write_text(path, json.dumps(metrics, indent=1, sort_keys=True) + "\n", force=force)
    return metrics


def _log_rate(rate: float) -> float:
    if not 0 < rate <= 1:
        raise CtrkitError(f"the sampling rate must be above 0 and at most 1; got {rate!r}")
    return math.log(rate)
