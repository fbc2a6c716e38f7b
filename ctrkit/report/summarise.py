"""Data first: a run, or several side by side, as a plain dictionary of sections and tables.

A summary is ``{title, facts, notes, warnings, tables, curves, data}``. A table is ``{title,
columns, rows, note}``; a curve is ``{title, x, y, lines: {name: [[x, y], ...]}, diagonal}``.
"""

from __future__ import annotations

import json
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from ctrkit.errors import RunFolderError
from ctrkit.metrics import Reliability
from ctrkit.metrics.sorted_rows import SortedRows
from ctrkit.records import RunRecord

JUDGED = ("auc", "logloss", "ne", "calibration", "ece", "group_auc")
TIMES = {"step", "epoch", "lr", "examples_s", "seconds"}


def summarise_run(folder: Path) -> dict[str, Any]:
    """Summarise one run folder; parts that are absent are left out.

    Raises:
        RunFolderError: It holds no ``record.json``.
    """
    record = _record(folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    tables = [_metrics_table(record), _settings_table(config)]
    curves = [*_learning_curves(folder), *_calibration(folder)]
    explain = folder / "explain.json"
    if explain.is_file():
        tables.append(_pairs_table(json.loads(explain.read_text(encoding="utf-8"))))
    rows = record.data.get("rows", {})
    return {
        "title": f"{config['model']['name']}, seed {record.seed}",
        "facts": {
            "data": config["data"]["path"],
            "rows": ", ".join(f"{split} {n:,}" for split, n in rows.items()),
            "parameters": f"{record.parameters['allocated']:,}",
            "training": _training(record),
            "speed": f"{record.timings['train_examples_s']:,.0f} rows/s in training",
            "peak memory": f"{record.memory['peak_bytes'] / 1e6:,.0f} MB",
            "config": record.config_sha256[:12],
        },
        "warnings": list(record.warnings),
        "tables": tables,
        "curves": curves,
        "data": {"metrics": record.metrics, "config_sha256": record.config_sha256},
    }


def summarise_evaluation(
    title: str, source: str, metrics: dict[str, Any], bins: Reliability
) -> dict[str, Any]:
    """Summarise how a run judged some rows: metrics with intervals, and calibration."""
    names = [n for n in JUDGED if metrics.get(n) is not None]
    row = [f"{metrics['rows']:,}", *(_with_interval(metrics, n) for n in names)]
    note = "In brackets: 95 % intervals. Log loss in nats; NE: log loss over the base rate's."
    table = {"title": "Metrics", "columns": ["rows", *names], "rows": [row], "note": note}
    return {
        "title": title,
        "facts": {"data": source},
        "warnings": [],
        "tables": [table],
        "curves": [_calibration_curve("Calibration", bins)],
        "data": {"metrics": metrics},
    }


def summarise_runs(folders: Sequence[Path]) -> dict[str, Any]:
    """Compare runs: one row per configuration, mean and standard deviation over its seeds."""
    groups: dict[str, list[tuple[str, RunRecord]]] = defaultdict(list)
    for folder in folders:
        record = _record(folder)
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        config["train"].pop("seed")
        for part in ("track", "plugins"):
            config.pop(part, None)
        groups[json.dumps(config, sort_keys=True)].append((config["model"]["name"], record))
    rows = [_compared(members) for members in groups.values()]
    rows.sort(key=lambda row: row["logloss"])
    columns = [
        "model",
        "seeds",
        "test AUC",
        "test log loss",
        "NE",
        "ECE",
        "validation log loss",
        "parameters",
        "rows/s",
    ]
    table = {
        "title": "Models, best first",
        "columns": columns,
        "rows": [[row["cells"][c] for c in columns] for row in rows],
        "note": "Mean ± standard deviation over seeds; ordered by log loss on the test part.",
    }
    return {
        "title": f"Comparison of {len(folders)} runs",
        "facts": {"runs": str(len(folders)), "configurations": str(len(rows))},
        "warnings": _unlike_data([record for group in groups.values() for _, record in group]),
        "tables": [table],
        "curves": [],
        "data": {"rows": [{k: v for k, v in row.items() if k != "cells"} for row in rows]},
    }


def _record(folder: Path) -> RunRecord:
    path = folder / "record.json"
    if not path.is_file():
        raise RunFolderError(f"{str(folder)!r} is no finished run: it has no record.json")
    return RunRecord.load(path)


def _compared(members: Sequence[tuple[str, RunRecord]]) -> dict[str, Any]:
    def over(split: str, metric: str) -> list[float]:
        return [float(record.metrics[split][metric]) for _, record in members]

    first = members[0][1]
    speed = statistics.median(r.timings["train_examples_s"] for _, r in members)
    cells = {
        "model": members[0][0],
        "seeds": str(len(members)),
        "test AUC": _spread(over("test", "auc")),
        "test log loss": _spread(over("test", "logloss")),
        "NE": _spread(over("test", "ne")),
        "ECE": _spread(over("test", "ece")),
        "validation log loss": _spread(over("validation", "logloss")),
        "parameters": f"{first.parameters['allocated']:,}",
        "rows/s": f"{speed:,.0f}",
    }
    return {
        "model": members[0][0],
        "seeds": [record.seed for _, record in members],
        "auc": statistics.fmean(over("test", "auc")),
        "logloss": statistics.fmean(over("test", "logloss")),
        "per_seed": {m: over("test", m) for m in ("auc", "logloss", "ne", "ece")},
        "cells": cells,
    }


def _spread(values: Sequence[float]) -> str:
    mean = statistics.fmean(values)
    return f"{mean:.4f} ± {statistics.stdev(values):.4f}" if len(values) > 1 else f"{mean:.4f}"


def _unlike_data(records: Iterable[RunRecord]) -> list[str]:
    seen = {str(record.data.get("fingerprint")) for record in records}
    return ["the runs were judged on unlike data: their figures do not compare"] * (len(seen) > 1)


def _training(record: RunRecord) -> str:
    facts = record.training
    known = ("steps", "epochs", "best_step", "stopped", "device", "precision")
    return ", ".join(f"{k.replace('_', ' ')} {facts[k]}" for k in known if k in facts)


def _metrics_table(record: RunRecord) -> dict[str, Any]:
    names = [n for n in JUDGED if any(m.get(n) is not None for m in record.metrics.values())]
    rows = []
    for split, metrics in record.metrics.items():
        rows.append([split, f"{metrics['rows']:,}", *(_with_interval(metrics, n) for n in names)])
    note = "In brackets: 95 % intervals. Log loss in nats; NE: log loss over the base rate's."
    return {"title": "Metrics", "columns": ["part", "rows", *names], "rows": rows, "note": note}


def _with_interval(metrics: dict[str, Any], name: str) -> str:
    value = metrics.get(name)
    if value is None or math.isnan(value):
        return "–"
    low, high = metrics.get(f"{name}_low"), metrics.get(f"{name}_high")
    return f"{value:.5f}" + (f" [{low:.5f}, {high:.5f}]" if low is not None else "")


def _settings_table(config: dict[str, Any]) -> dict[str, Any]:
    rows = []
    for section in ("model", "train", "data"):
        for key, value in sorted(config[section].items()):
            if value is not None:
                text = json.dumps(value) if isinstance(value, dict | list) else str(value)
                rows.append([f"{section}.{key}", text])
    return {"title": "Settings", "columns": ["key", "value"], "rows": rows, "note": ""}


def _learning_curves(folder: Path) -> list[dict[str, Any]]:
    path = folder / "metrics.jsonl"
    if not path.is_file():
        return []
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    losses = {
        name: [[line["step"], line[key]] for line in lines if line.get(key) is not None]
        for name, key in (("training", "train_loss"), ("validation", "logloss"))
    }
    aucs = {"validation": [[line["step"], line["auc"]] for line in lines if "auc" in line]}
    return [
        {"title": "Log loss while training", "x": "step", "y": "log loss", "lines": losses},
        {"title": "AUC while training", "x": "step", "y": "AUC", "lines": aucs},
    ]


def _calibration(folder: Path) -> list[dict[str, Any]]:
    path = folder / "predictions" / "test.parquet"
    if not path.is_file():
        return []
    with pq.ParquetFile(path) as file:
        names = [n for n in ("label", "logit", "weight") if n in file.schema_arrow.names]
        parts = file.iter_batches(columns=names)
        rows = (tuple(b.column(n).to_numpy() for n in names) for b in parts)
        padded = ((*row, None)[:3] for row in rows)
        bins = SortedRows(file.metadata.num_rows, padded).reliability()
    return [_calibration_curve("Calibration on the test part", bins)]


def _calibration_curve(title: str, bins: Reliability) -> dict[str, Any]:
    points = [[float(p), float(o)] for p, o in zip(bins.predicted, bins.observed, strict=True)]
    return {
        "title": title,
        "x": "predicted",
        "y": "observed",
        "lines": {"bins of equal count": points},
        "diagonal": True,
    }


def _pairs_table(found: dict[str, Any]) -> dict[str, Any]:
    lift = {tuple(p["fields"]): p["lift"][0] for p in (found["attention"] or {}).get("pairs", [])}
    rows = []
    for pair in found["ablation"]["pairs"]:
        value = lift.get(tuple(pair["fields"]))
        shown = "–" if value is None else f"{value:.3f}"
        rows.append([" × ".join(pair["fields"]), f"{pair['score']:+.5f} ± {pair['se']:.5f}", shown])
    columns = ["pair", "ablation (log loss)", "attention lift, layer 1"]
    return {"title": "Field pairs", "columns": columns, "rows": rows, "note": found["caveats"]}
