"""Time a training step with and without value gates, alternating, on generated codes.

    python experiments/speed/gates/run.py

MLP 1024-512-256, 26 fields, width 16, batch 4096, tables of 1 and 5 million rows, all else at its
default. Every figure is a ratio within one run. Writes ``report.json`` and ``report.md`` next to
this file.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from ctrkit.config.files import make_config
from ctrkit.layout import Layout, LayoutField
from ctrkit.models.build import build_model
from ctrkit.search.features.config import FeaturesConfig
from ctrkit.search.features.gates import open_gates
from ctrkit.train import build_optimizers

HERE = Path(__file__).parent
FIELDS = 26


def stepper(rows: int, update: str | None):
    """Return a function that does one training step; without ``update``, without gates."""
    search = {"update": update or "descent"}
    job = make_config(
        {
            "model": {"name": "dnn", "dim": 16, "mlp": {"hidden": [1024, 512, 256]}},
            "train": {"batch_size": 4096},
            "search": search,
        },
        FeaturesConfig,
    )
    size = rows // FIELDS
    counts = {f"f{i}": np.ones(size, np.int64) for i in range(FIELDS)}
    layout = Layout(tuple(LayoutField(n, "categorical", size) for n in counts), counts)
    model = build_model(job.model, layout, seed=0, sparse_from=job.train.sparse_from).train()
    if update:
        model.gate = open_gates(layout, job.search, 1.0, 40_000_000, 10_000)
    optimizers = build_optimizers(model, job.train)
    draw = np.random.default_rng(0)
    share = (draw.zipf(1.2, (64, 4096, FIELDS)) % (size - 3)) + 3
    label = torch.from_numpy(draw.integers(0, 2, 4096).astype(np.float32))
    none = torch.zeros(4096, 0)
    at = 0

    def step() -> None:
        nonlocal at
        codes = torch.from_numpy(share[at % 64])
        at += 1
        if model.gate is not None:
            model.gate.advance(at, 10_000, 0)
        optimizers.zero_grad()
        logit = model(codes, none, ())
        torch.nn.functional.binary_cross_entropy_with_logits(logit, label).backward()
        if model.gate is not None:
            model.gate.regularise()
        optimizers.step(1e-3)

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=15)
    args = parser.parse_args()
    found = []
    for rows in (1_000_000, 5_000_000):
        steps = {
            name: stepper(rows, name if name != "plain" else None)
            for name in ("plain", "descent", "adam")
        }
        seconds: dict[str, list[float]] = {name: [] for name in steps}
        for step in steps.values():
            step()
        for _ in range(args.turns):
            for name, step in steps.items():
                started = time.perf_counter()
                for _ in range(3):
                    step()
                seconds[name].append((time.perf_counter() - started) / 3)
        for name in ("descent", "adam"):
            ratios = [a / b for a, b in zip(seconds[name], seconds["plain"], strict=True)]
            low, middle, high = statistics.quantiles(ratios, n=4)
            found.append(
                {
                    "rows": rows,
                    "gates": name,
                    "ratio": middle,
                    "quartiles": [low, high],
                    "plain_s": statistics.median(seconds["plain"]),
                }
            )
            print(f"{rows:,} rows, {name}: {middle:.2f} ({low:.2f} to {high:.2f})", flush=True)
    cpu = platform.processor() or platform.machine()
    machine = {"cpu": cpu, "threads": torch.get_num_threads(), "torch": torch.__version__}
    text = json.dumps({"machine": machine, "turns": args.turns, "figures": found}, indent=1)
    (HERE / "report.json").write_text(text + "\n")
    lines = [
        "# A step with value gates against the same step without",
        "",
        "| table rows | gates learn by | ratio, median | quartiles |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {f['rows']:,} | {f['gates']} | {f['ratio']:.2f} | "
        f"{f['quartiles'][0]:.2f} to {f['quartiles'][1]:.2f} |"
        for f in found
    ]
    lines += [
        "",
        f"`python experiments/speed/gates/run.py`: MLP 1024-512-256, {FIELDS} fields of "
        f"width 16, batch 4096, {args.turns} turns of 3 steps, {machine['threads']} threads. "
        "Wanted: at most 1.3.",
    ]
    (HERE / "report.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
