"""Time what Optuna and MLflow add to a trial that trains for a minute.

    python experiments/speed/search/run.py

Trials of the default space of AutoInt+ with sixteen evaluations each and no training: claimed,
drawn by TPE, reported, judged by the pruner, ended, and mirrored as MLflow runs in SQLite, with all
parameters and the small files of a run folder. The figure is the seconds per trial, late in the
study too, as a share of 60. Writes ``report.json`` next to this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
EVALUATIONS = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--storage", help="a database in place of a journal file")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        os.environ["CTRKIT_HOME"] = scratch
        os.environ.pop("CTRKIT_TRACKING_URI", None)
        optuna, mlflow = measure(Path(scratch), args.trials, args.storage)
    late = slice(-max(1, args.trials // 3), None)
    report = {
        "trials": args.trials,
        "evaluations": EVALUATIONS,
        "storage": args.storage or "journal",
        "optuna_s": statistics.mean(optuna),
        "mlflow_s": statistics.mean(mlflow),
        "late_optuna_s": statistics.mean(optuna[late]),
        "late_mlflow_s": statistics.mean(mlflow[late]),
        "share_of_60_s": statistics.mean([a + b for a, b in zip(optuna, mlflow, strict=True)]) / 60,
        "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
    }
    (HERE / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report, indent=1))


def measure(scratch: Path, count: int, storage: str | None) -> tuple[list[float], list[float]]:
    """Return the seconds that each trial spent in Optuna, and in MLflow."""
    from ctrkit.config.files import load_config
    from ctrkit.records import RunRecord
    from ctrkit.search.params.build import make_space
    from ctrkit.search.params.config import ParamsConfig
    from ctrkit.search.params.samplers import Pruning
    from ctrkit.search.params.study import Trials
    from ctrkit.track import make_search_tracker, make_tracker, tracked_below

    config = load_config(overrides=["model.name=autoint+"], kind=ParamsConfig)
    space = make_space(config)
    search = config.search.model_copy(update={"trials": count, "pruner": "median"})
    folder = scratch / "search"
    folder.mkdir()
    trials = Trials(search, folder, "study", 0, storage)
    make_search_tracker(config.track, name="study").start(folder, {}, {})
    optuna, mlflow = [], []
    for number in range(count):
        loss = 0.4 + (number * 0.618034 % 1) / 10
        spent = [0.0, 0.0]
        start = time.perf_counter()
        claim = trials.claim()
        assert claim is not None
        job = space.apply(trials.draw(claim, space))
        watch = Pruning(claim.trial, "logloss")
        spent[0] += time.perf_counter() - start
        run = folder / "trials" / str(number)
        run.mkdir(parents=True)
        (run / "config.json").write_text(job.canonical_json(), encoding="utf-8")
        (run / "report.html").write_text("x" * 100_000, encoding="utf-8")
        start = time.perf_counter()
        with tracked_below(folder, trial=number):
            tracker = make_tracker(job.track, name=str(number))
            tracker.start(run, json.loads(job.canonical_json()), {})
        spent[1] += time.perf_counter() - start
        for step in range(EVALUATIONS):
            line = {"logloss": loss + 0.1 / (step + 1), "auc": 0.7, "train_loss": loss}
            start = time.perf_counter()
            tracker.log(step, line)
            spent[1] += time.perf_counter() - start
            start = time.perf_counter()
            watch.trial.report(line["logloss"], step)
            watch.trial.should_prune()
            spent[0] += time.perf_counter() - start
        start = time.perf_counter()
        with trials.running(claim):
            trials.complete(claim, [loss])
        spent[0] += time.perf_counter() - start
        record = RunRecord(
            {"test": {"auc": 0.7}}, 0, {}, "", {}, {}, {}, {}, {"steps": EVALUATIONS}
        )
        start = time.perf_counter()
        tracker.finish("FINISHED", record)
        spent[1] += time.perf_counter() - start
        optuna.append(spent[0])
        mlflow.append(spent[1])
    return optuna, mlflow


if __name__ == "__main__":
    main()
