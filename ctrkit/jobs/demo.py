"""The whole tour on generated data with planted truth: train, explain, predict, compare."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from ctrkit.errors import RunFolderError
from ctrkit.evaluate import Explanation
from ctrkit.files import atomic_path
from ctrkit.jobs.explain import explain
from ctrkit.jobs.predict import predict
from ctrkit.jobs.report import report
from ctrkit.jobs.train import train
from ctrkit.runs.train import RunResult
from ctrkit.testing.generated import Truth, planted_clicks

logger = logging.getLogger(__name__)
SETTINGS = ("train.epochs=4", "train.lr=2e-3", "train.patience=2")


def demo(
    out: str | Path = "demo",
    *,
    rows: int = 200_000,
    seed: int = 0,
    force: bool = False,
    progress: Any = None,
) -> list[str]:
    """Generate clicks with planted effects, train LR and AutoInt on them, and compare.

    Args:
        out: Folder to write: ``clicks.parquet``, ``lr/``, ``autoint/``, ``predictions.parquet``,
            ``report.html``.
        rows: Rows to generate.
        seed: Of data and models.
        force: Train again where the folder holds finished runs.
        progress: Object with ``update(stage, done, total, text)``.

    Returns:
        The lines to print: what was found against what was planted, and where things lie.
    """
    folder = Path(out)
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"the output {str(folder)!r} is a file; name a folder with -o")
    folder.mkdir(parents=True, exist_ok=True)
    frame, truth = planted_clicks(rows, seed=seed)
    data = folder / "clicks.parquet"
    if not data.exists() or force:  # an untouched file lets finished runs be found again
        with atomic_path(data) as beside:
            frame.write_parquet(beside)
    runs = {}
    for model in ("lr", "autoint"):
        logger.info("training %s on %d generated rows", model, rows)
        runs[model] = train(
            data,
            label="click",
            model=model,
            out=folder / model,
            seed=seed,
            force=force,
            set=SETTINGS,
            ignore=["time"],
            progress=progress,
        )
    found = explain(folder / "autoint", data, rows=10_000, top=55, seed=seed)
    predict(folder / "autoint", data, out=folder / "predictions.parquet", force=True)
    page = folder / "report.html"
    report([folder / "lr", folder / "autoint"], out=page, force=True)
    return [
        *verdict(truth, found, runs),
        "",
        f"report       {page}  (of AutoInt alone: {folder / 'autoint' / 'report.html'})",
        f"run          {folder / 'autoint'}",
        f"tracked      {runs['autoint'].tracked or 'no'}",
        f"predictions  {folder / 'predictions.parquet'}",
    ]


def verdict(truth: Truth, found: Explanation, runs: dict[str, RunResult]) -> list[str]:
    """Set what was found beside what was planted."""
    pairs = [frozenset(p["fields"]) for p in found["ablation"]["pairs"]]
    needed = [" x ".join(p["fields"]) for p in found["ablation"]["pairs"][: len(truth.pairs)]]
    ranks = [pairs.index(frozenset(p)) + 1 if frozenset(p) in pairs else None for p in truth.pairs]
    fields = [row["field"] for row in found["importance"]]
    informative = fields[: len(truth.informative)]
    hit = len(set(informative) & set(truth.informative))
    auc = {name: run.record.metrics["test"]["auc"] for name, run in runs.items()}
    planted = ", ".join(" x ".join(p) for p in truth.pairs)
    return [
        "",
        f"planted pairs     {planted}",
        f"found pairs       {', '.join(needed)}  (first by ablation of {len(pairs)} pairs; "
        f"the planted ones rank {', '.join(str(r) for r in ranks)})",
        f"planted fields    {', '.join(truth.informative)}",
        f"found fields      {', '.join(informative)}  ({hit} of {len(truth.informative)})",
        f"test AUC          LR {auc['lr']:.4f}, AutoInt {auc['autoint']:.4f}, "
        f"true probabilities {truth.auc:.4f}",
    ]
