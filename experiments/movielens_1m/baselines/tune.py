"""Choose the hyper-parameters of each baseline on the validation split: a small random search.

    ctrkit encode data/movielens_1m -o runs/movielens_1m/shards
    python experiments/movielens_1m/baselines/tune.py runs/movielens_1m/shards

Trial 0 is the same for all models, the others are drawn at random per model. Every model gets the
same number of trials and one seed, and never sees the test split. The trials are written to
``<model>/tuning.json`` as they end, so the script can be interrupted and re-run, and several can
run in parallel on different models. The winner (lowest validation log loss) goes into
``<model>/run.toml`` by hand.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import torch

from ctrkit.config.files import make_config
from ctrkit.data.store.batches import Batches
from ctrkit.data.store.shards import Shards
from ctrkit.evaluate import score_batches
from ctrkit.layout import Layout
from ctrkit.metrics import auc, logloss
from ctrkit.models.build import build_model
from ctrkit.models.resolve import resolve_model
from ctrkit.train import fit

HERE = Path(__file__).parent
MODELS = ("lr", "fm", "dnn", "deepfm", "dcn", "dcnv2", "ipnn", "autoint", "autoint+")
DEEP = ("dnn", "deepfm", "dcn", "dcnv2", "ipnn", "autoint+")


def draw(model: str, number: int) -> dict:
    """Draw hyper-parameters of a model; number 0 is the common configuration."""
    rng = random.Random(f"{model}-{number}")

    def pick(common: float, choices: list[float]) -> float:
        return rng.choice(choices) if number else common

    parameters: dict = {}
    if model in DEEP:
        dropout = pick(0.2, [0.0, 0.2, 0.4])
        parameters["mlp"] = {"hidden": [400, 400], "dropout": dropout}
    if model.startswith("autoint") and number:
        parameters["attention"] = {
            "layers": rng.choice([1, 2, 3]),
            "heads": 2,
            "head_dim": rng.choice([16, 32]),
            "dropout": rng.choice([0.0, 0.1]),
        }
    return {
        "model": {
            "name": model,
            "dim": 16,
            "embedding_dropout": pick(0.3, [0.0, 0.1, 0.3, 0.5]),
            "parameters": parameters,
        },
        "train": {
            "epochs": 8,
            "batch_size": 4096,
            "micro_batch": 512 if model.startswith("autoint") else 0,
            "lr": pick(2e-3 if model.startswith("autoint") else 4e-3, [1e-3, 2e-3, 4e-3, 8e-3]),
            "l2": pick(3e-6, [0.0, 1e-6, 3e-6, 1e-5]),
            "schedule": "linear",
        },
    }


def trial(setting: dict, shards: Shards, layout: Layout) -> dict:
    """Train one configuration; return its best validation metrics."""
    config = make_config(setting)
    model = build_model(resolve_model(config.model), layout, seed=0)
    model.start_at(shards.positives("train") / shards.rows("train"))

    def validate(model: torch.nn.Module) -> dict[str, float]:
        scores = score_batches(model, Batches(shards, "validation", 16_384, shuffle=False).epoch(0))
        return {
            "auc": auc(scores.label, scores.logit),
            "logloss": logloss(scores.label, scores.logit),
        }

    train = Batches(shards, "train", config.train.batch_size, shuffle=True, seed=0)
    started = time.perf_counter()
    result = fit(model, train, config.train, evaluate=validate)
    return {**result.best_metrics, "epochs": result.epochs, "s": time.perf_counter() - started}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shards", type=Path)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    args = parser.parse_args()
    shards = Shards(args.shards)
    for number in range(args.trials):
        for model in args.models:
            file = HERE / model / "tuning.json"
            trials = json.loads(file.read_text()) if file.is_file() else []
            if number in [t["number"] for t in trials]:
                continue
            setting = draw(model, number)
            outcome = trial(setting, shards, shards.layout)
            trials.append({"number": number, "start": "base", **outcome, "setting": setting})
            trials.sort(key=lambda t: t["number"])
            file.write_text(json.dumps(trials, indent=1) + "\n")
            print(f"{model} {number}: {outcome['logloss']:.5f} {outcome['auc']:.5f}", flush=True)
    for model in args.models:
        trials = json.loads((HERE / model / "tuning.json").read_text())
        best = min(trials, key=lambda t: t["logloss"])
        print(f"{model}: best of {len(trials)}: {json.dumps(best)}")


if __name__ == "__main__":
    main()
