"""``ctrkit demo``: a tour on generated data with known effects."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

from ctrkit.errors import CtrkitError, RunFolderError
from ctrkit.evaluate import Explanation
from ctrkit.files import atomic_path
from ctrkit.jobs.explain import explain
from ctrkit.jobs.predict import predict
from ctrkit.jobs.report import report
from ctrkit.jobs.train import train
from ctrkit.records import Progress
from ctrkit.runs.train import RunResult
from ctrkit.testing.generated import Truth, planted_clicks

logger = logging.getLogger(__name__)
OPTIONS = ("train.epochs=4", "train.lr=2e-3", "train.patience=2")


def demo(
    out: str | Path = "demo",
    *,
    rows: int = 200_000,
    seed: int = 0,
    force: bool = False,
    progress: Progress | None = None,
) -> list[str]:
    """Generate clicks with known effects; train LR and AutoInt, explain, predict, compare.

    Args:
        out: Folder to write: ``clicks.parquet``, ``lr/``, ``autoint/``, ``predictions.parquet``,
            ``report.html``.
        rows: Number of rows to generate.
        seed: Seed of the data and of the models.
        force: Train again if the folder holds finished runs.
        progress: Shows how far the job is.

    Returns:
        The lines to print: what was found, what was generated, and where the results are.
    """
    folder = Path(out)
    if seed < 0:
        raise CtrkitError(f"seed must not be negative; got {seed}")
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"the output {str(folder)!r} is a file; name a folder with -o")
    folder.mkdir(parents=True, exist_ok=True)
    frame, truth = planted_clicks(rows, seed=seed)
    data = folder / "clicks.parquet"
    if not data.exists() or force:  # finished runs are recognised by an untouched file
        with atomic_path(data) as temporary:
            frame.write_parquet(temporary)
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
            set=OPTIONS,
            ignore=["time"],
            progress=progress,
        )
    explanation = explain(folder / "autoint", data, rows=10_000, top=55, seed=seed)
    predict(folder / "autoint", data, out=folder / "predictions.parquet", force=True)
    html = folder / "report.html"
    report([folder / "lr", folder / "autoint"], out=html, force=True)
    return [
        *_verdict(truth, explanation, runs),
        "",
        f"report       {html}  (of AutoInt alone: {folder / 'autoint' / 'report.html'})",
        f"run          {folder / 'autoint'}",
        f"tracked      {runs['autoint'].tracked or 'no'}",
        f"predictions  {folder / 'predictions.parquet'}",
    ]


def _verdict(truth: Truth, explanation: Explanation, runs: Mapping[str, RunResult]) -> list[str]:
    """Compare what was found with what was planted."""
    ablated = explanation["ablation"]["pairs"]
    pairs = [frozenset(p["fields"]) for p in ablated]
    needed = [" x ".join(p["fields"]) for p in ablated[: len(truth.pairs)]]
    ranks = [pairs.index(frozenset(p)) + 1 if frozenset(p) in pairs else None for p in truth.pairs]
    fields = [row["field"] for row in explanation["importance"]]
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
