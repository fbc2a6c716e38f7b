"""Train every baseline on MovieLens-1M over three seeds and write the comparison table.

    python datasets/movielens_1m/prepare.py -o data/movielens_1m      (or --source FOLDER)
    python experiments/movielens_1m/baselines/run.py

The configuration of each model is ``<model>/run.toml``, chosen on the validation split by
``tune.py``. Existing runs are not trained again, so the script can be interrupted and re-run. It
writes ``<model>/<seed>.json`` (the record of the run), ``comparison.md`` and ``comparison.json``
next to the configurations.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from ctrkit import jobs
from ctrkit.report import summarise_runs, to_markdown

HERE = Path(__file__).parent
MODELS = ("lr", "fm", "dnn", "deepfm", "dcn", "dcnv2", "ipnn", "autoint", "autoint+")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/movielens_1m/baselines"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    args = parser.parse_args()
    started = time.perf_counter()
    folders = []
    for seed in args.seeds:
        for model in args.models:
            folder = args.runs / f"{model}-{seed}"
            folder.parent.mkdir(parents=True, exist_ok=True)
            result = jobs.train(HERE / model / "run.toml", out=folder, seed=seed)
            test = result.record.metrics["test"]
            print(f"{model} seed {seed}: test auc {test['auc']:.4f} log loss {test['logloss']:.4f}")
            record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
            record["data"].pop("source", None)
            (HERE / model / f"{seed}.json").write_text(json.dumps(record, indent=1) + "\n")
            folders.append(folder)
    summary = summarise_runs(folders)
    (HERE / "comparison.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    (HERE / "comparison.md").write_text(to_markdown(summary), encoding="utf-8")
    print(f"{(time.perf_counter() - started) / 3600:.2f} hours")


if __name__ == "__main__":
    main()
