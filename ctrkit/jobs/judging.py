"""Verbs that load a run: judge it, explain it, score with it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from ctrkit.bundle import load
from ctrkit.data.sources import open_source
from ctrkit.errors import CtrkitError, DataError
from ctrkit.evaluate import explain_source, judge, score_source
from ctrkit.jobs.inputs import PathLike, read_options
from ctrkit.jobs.outputs import refuse_existing, write_text
from ctrkit.metrics import reliability
from ctrkit.report import summarise_evaluation, summarise_run, write_report


def evaluate(
    run: PathLike,
    data: PathLike,
    *,
    out: PathLike | None = None,
    sampling_rate: float | None = None,
    force: bool = True,
    trust_plugins: bool = False,
) -> dict[str, Any]:
    """Judge a run on labelled raw rows; return metrics with 95 % intervals.

    Args:
        run: A run folder.
        data: Raw rows with the label.
        out: File to write: the metrics as ``.json``, or a page with them and the calibration as
            ``.html`` or ``.md``.
        sampling_rate: Share of negatives that ``data`` kept; None: as in training. Where it
            differs from training's, logits are shifted to match ``data``.
        force: Replace ``out`` where it exists.
        trust_plugins: Run the plug-in code that the run folder holds.
    """
    predictor = load(run, trust_plugins=trust_plugins)
    source = open_source(str(data), read_options(predictor.config.data, predictor.schema.columns))
    scores = score_source(predictor, source)
    if not len(scores.label):
        raise DataError(f"{data} holds no rows to judge")
    shift = 0.0
    if sampling_rate is not None:
        shift = _log_rate(predictor.config.data.sampling_rate) - _log_rate(sampling_rate)
    metrics = judge(scores, shift)
    if out is None:
        return metrics
    path = Path(out)
    if path.suffix in (".html", ".md"):
        refuse_existing(path, force=force)
        logit = scores.logit.astype(np.float64) + shift  # in float32 a shift makes ties
        bins = reliability(scores.label, logit, scores.weight)
        write_report(
            summarise_evaluation(f"{Path(run).name} judged", str(data), metrics, bins), path
        )
    else:
        write_text(path, json.dumps(metrics, indent=1, sort_keys=True) + "\n", force=force)
    return metrics


def explain(
    run: PathLike,
    data: PathLike,
    *,
    out: PathLike | None = None,
    rows: int = 20_000,
    top: int = 10,
    seed: int = 0,
    trust_plugins: bool = False,
) -> dict[str, Any]:
    """Show which field pairs a run combines: attention lift, values, and the ablation score.

    Args:
        run: A run folder.
        data: Raw rows with the label.
        out: JSON file to write; None: ``explain.json`` in the run folder, whose report shows it.
        rows: Rows that are looked at.
        top: Pairs that are ablated, and values that are listed.
        seed: Of the permutations.
        trust_plugins: Run the plug-in code that the run folder holds.
    """
    predictor = load(run, trust_plugins=trust_plugins)
    source = open_source(str(data), read_options(predictor.config.data, predictor.schema.columns))
    found = explain_source(predictor, source, rows=rows, top=top, seed=seed)
    path = Path(run) / "explain.json" if out is None else Path(out)
    write_text(path, json.dumps(found, indent=1) + "\n", force=True)
    if out is None and (Path(run) / "record.json").is_file():
        write_report(summarise_run(Path(run)), Path(run) / "report.html")
    return found


def predict(
    run: PathLike,
    data: PathLike,
    *,
    out: PathLike = "predictions.parquet",
    force: bool = False,
    trust_plugins: bool = False,
) -> int:
    """Score raw rows into a file of the key columns and ``prediction``; return their number.

    Args:
        run: A run folder.
        data: Raw rows; the label is not needed.
        out: ``.parquet`` or ``.csv`` file to write.
        force: Replace ``out`` where it exists.
        trust_plugins: Run the plug-in code that the run folder holds.
    """
    path = Path(out)
    if path.suffix not in (".parquet", ".csv"):
        raise CtrkitError(f"predictions are written to a .parquet or .csv file; got {str(out)!r}")
    refuse_existing(path, force=force)
    predictor = load(run, trust_plugins=trust_plugins)
    source = open_source(str(data), read_options(predictor.config.data, predictor.schema.columns))
    return predictor.predict_source(source, path)


def _log_rate(rate: float) -> float:
    if not 0 < rate <= 1:
        raise CtrkitError(f"a sampling rate lies above 0 and up to 1; got {rate!r}")
    return math.log(rate)
