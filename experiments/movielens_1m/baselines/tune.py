"""Choose each baseline's settings on the validation part of MovieLens-1M: a small random search.

    ctrkit encode data/movielens_1m -o runs/movielens_1m/shards
    python experiments/movielens_1m/baselines/tune.py runs/movielens_1m/shards

Every model gets the same number of trials, one seed, and never sees the test part. The trials
and the winner (lowest validation log loss) are written to ``tuning.json`` beside this file.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import torch

from ctrkit.config import make_config
from ctrkit.data.batches import Batches
from ctrkit.data.shards import Shards
from ctrkit.evaluate import score_batches
from ctrkit.metrics import auc, logloss
from ctrkit.models.build import build_model, resolve_model
from ctrkit.schema import Layout
from ctrkit.train import fit

HERE = Path(__file__).parent
MODELS = ("lr", "fm", "dnn", "deepfm", "dcn", "dcnv2", "ipnn", "autoint", "autoint+")
DEEP = ("dnn", "deepfm", "dcn", "dcnv2", "ipnn", "autoint+")
L2 = (0.0, 1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4)


def draw(model: str, rng: random.Random) -> dict:
    """Draw one setting of a model."""
    parameters: dict = {}
    if model in DEEP:
        parameters["mlp"] = {"hidden": [400, 400], "dropout": rng.choice([0.0, 0.2, 0.4])}
    if model.startswith("autoint"):
        parameters["attention"] = {
            "layers": rng.choice([1, 2, 3]),
            "heads": 2,
            "head_dim": rng.choice([16, 32]),
            "dropout": rng.choice([0.0, 0.1, 0.3]),
        }
    return {
        "model": {
            "name": model,
            "dim": rng.choice([16, 32]),
            "embedding_dropout": rng.choice([0.0, 0.1, 0.3]),
            "parameters": parameters,
        },
        "train": {
            "epochs": 8,
            "batch_size": 4096,
            "micro_batch": 512 if model.startswith("autoint") else 0,
            "lr": rng.choice([1e-3, 2e-3, 4e-3]),
            "l2": rng.choice(L2),
            "schedule": rng.choice(["constant", "linear"]),
        },
    }


def trial(setting: dict, shards: Shards, layout: Layout) -> dict:
    """Train one setting; return its best validation metrics."""
    config = make_config(setting)
    model = build_model(resolve_model(config.model), layout, seed=0)

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
    parser.add_argument("--out", type=Path, default=HERE / "tuning.json")
    args = parser.parse_args()
    shards = Shards(args.shards)
    layout = shards.layout
    found = json.loads(args.out.read_text()) if args.out.is_file() else {}
    for number in range(args.trials):
        for model in args.models:
            trials = found.setdefault(model, [])
            if len(trials) > number:
                continue
            setting = draw(model, random.Random(f"{model}-{number}"))
            outcome = trial(setting, shards, layout)
            trials.append({"setting": setting, **outcome})
            args.out.write_text(json.dumps(found, indent=1) + "\n")
            print(f"{model} {number}: {outcome['logloss']:.5f} {outcome['auc']:.5f}", flush=True)
    for model in args.models:
        best = min(found[model], key=lambda t: t["logloss"])
        print(model, json.dumps(best))


if __name__ == "__main__":
    main()
