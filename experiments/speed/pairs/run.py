"""Time a step of the search over pairs against the same MLP without pairs; measure its memory.

    python experiments/speed/pairs/run.py

Criteo's shape: 26 categorical fields, 325 pairs, 1 million generated rows, MLP 5 x 700 with
LayerNorm, batch 2000, widths 20 and 10, crosses hashed into 256 MB. Steps are timed alternately
within one process, every figure a ratio; memory is the peak of a process that runs one whole epoch
of ``ctrkit search interactions``. Writes ``report.json`` and ``report.md`` next to this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import polars as pl
import torch

from ctrkit import jobs
from ctrkit.config.files import make_config
from ctrkit.data.store.batch import Batch
from ctrkit.data.store.batches import Batches
from ctrkit.layout import Layout, LayoutField
from ctrkit.models.build import build_model
from ctrkit.models.pairs import field_pairs
from ctrkit.schema import Field, Schema, Split
from ctrkit.search.interactions.config import InteractionsConfig
from ctrkit.search.interactions.operations import HELD_SHARE, PairTraining, open_pairs, undecided
from ctrkit.train import Context, build_optimizers

HERE = Path(__file__).parent
SIZES = (
    1460, 583, 1_000_000, 300_000, 305, 24, 12_517, 633, 3, 93_145, 5683, 800_000, 3194, 27,
    14_992, 500_000, 10, 5652, 2173, 4, 700_000, 18, 15, 286_181, 105, 142_572,
)  # fmt: skip
"""Approximate cardinalities of Criteo's categorical fields, cut at a million."""
BATCH, STEPS, BUDGET = 2000, 2000, 256_000_000
MODEL = {"name": "optinter", "dim": 20, "second_dim": 10, "mlp": {"hidden": [700] * 5}}
WANTED = {"ratio": 4.0, "peak_gb": 12.0}


def codes(rows: int, seed: int) -> np.ndarray:
    """Draw codes ``(rows, 26)`` from 0, with a long tail: log-uniform ranks."""
    draw = np.random.default_rng(seed)
    columns = [np.floor(size ** draw.random(rows)) - 1 for size in SIZES]
    return np.stack(columns, axis=1).astype(np.uint32)


class Repeated:
    """Batches of generated rows, repeated."""

    def __init__(self, rows: int, count: int, seed: int) -> None:
        label = np.random.default_rng(seed).integers(0, 2, rows).astype(np.uint8)
        none = np.empty((rows, 0), np.float32)
        self.made = [Batch(codes(rows, seed + i) + 3, none, (), label) for i in range(count)]

    def steps(self) -> int:
        """Return the number of batches."""
        return len(self.made)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Yield the batches."""
        return iter(self.made[start:])


def stepper(update: str | None) -> Callable[[], None]:
    """Return a function that does one training step; without ``update``, without pairs."""
    model = MODEL if update else {**MODEL, "interactions": ["flat"]}
    search = {"update": update or "joint", "budget": BUDGET}
    data = {
        "model": {**model, "cross_rows": BUDGET // 40},
        "train": {"batch_size": BATCH},
        "search": search,
    }
    job = make_config(data, InteractionsConfig)
    layout = Layout(
        tuple(LayoutField(f"C{i + 1}", "categorical", size + 3) for i, size in enumerate(SIZES))
    )
    pairs = field_pairs(layout)
    module = build_model(
        job.model,
        layout,
        sparse_from=job.train.sparse_from,
        ops=undecided(pairs, pairs) if update else (),
    ).train()
    watch = None
    if update:
        gate = open_pairs(module, job.search, STEPS, [1e6] * len(pairs))
        held = Repeated(BATCH // HELD_SHARE, 16, 1000) if update == "bilevel" else None
        rows = cast("Batches | None", held)
        watch = PairTraining(gate, rows, job.search, job.train.monitor)
    context = Context(module, build_optimizers(module, job.train), STEPS, step=STEPS // 2)
    stream, none = Repeated(BATCH, 16, 0), torch.zeros(BATCH, 0)

    def step() -> None:
        batch = stream.made[context.step % 16]
        if watch is not None:
            watch.step_start(context, batch)
        context.optimizers.zero_grad()
        logit = module(torch.from_numpy(batch.codes.astype(np.int64)), none, ())
        label = torch.from_numpy(batch.label.astype(np.float32))
        torch.nn.functional.binary_cross_entropy_with_logits(logit, label).backward()
        if watch is not None:
            watch.after_backward(context)
        context.optimizers.step(1e-3)
        context.step += 1
        if watch is not None:
            watch.step_end(context)

    return step


def ratios(turns: int) -> list[dict[str, Any]]:
    """Time the three steps in turns."""
    steps = {
        name: stepper(name if name != "plain" else None) for name in ("plain", "joint", "bilevel")
    }
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    for _ in range(turns):
        for name, step in steps.items():
            started = time.perf_counter()
            for _ in range(3):
                step()
            seconds[name].append((time.perf_counter() - started) / 3)
    found = []
    for name in ("joint", "bilevel"):
        over = [a / b for a, b in zip(seconds[name], seconds["plain"], strict=True)]
        low, middle, high = statistics.quantiles(over, n=4)
        found.append(
            {
                "update": name,
                "ratio": middle,
                "quartiles": [low, high],
                "step_s": statistics.median(seconds[name]),
                "plain_s": statistics.median(seconds["plain"]),
            }
        )
        print(f"{name}: {middle:.2f} ({low:.2f} to {high:.2f})", flush=True)
    return found


def search(folder: Path, rows: int) -> None:
    """Search one epoch of generated rows, and retrain for one."""
    frame = pl.from_numpy(codes(rows, 0), [f"C{i + 1}" for i in range(len(SIZES))])
    click = np.random.default_rng(0).random(rows) < 0.2 + 0.1 * (frame["C1"].to_numpy() % 2)
    frame.with_columns(pl.Series("click", click.astype(np.uint8))).write_parquet(
        folder / "data.parquet"
    )
    fields = tuple(Field(f"C{i + 1}", "categorical") for i in range(len(SIZES)))
    Schema(fields, label="click", split=Split()).save(folder / "schema.toml")
    del frame
    jobs.search_interactions(
        folder,
        out=folder / "search",
        budget=BUDGET,
        controls="none",
        set=[
            "model.dim=20",
            "model.second_dim=10",
            "model.mlp.hidden=[700, 700, 700, 700, 700]",
            f"train.batch_size={BATCH}",
            "train.epochs=1",
            "search.epochs=1",
            "track.uri=none",
        ],
    )


def peak(rows: int) -> dict[str, Any]:
    """Run :func:`search` in a process of its own; return its peak of resident memory."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--search", folder, "--rows", str(rows)]
        started = time.perf_counter()
        home = str(Path(folder) / "home")
        subprocess.run(command, check=True, env={**os.environ, "CTRKIT_HOME": home})
    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    found = {"rows": rows, "peak_gb": used / 1e9, "seconds": time.perf_counter() - started}
    print(f"peak {found['peak_gb']:.2f} GB, {found['seconds']:.0f} s", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--search", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.search:
        search(args.search, args.rows)
        return
    figures, memory = ratios(args.turns), peak(args.rows)
    cpu = platform.processor() or platform.machine()
    machine = {"cpu": cpu, "threads": args.threads, "torch": torch.__version__}
    facts = {
        "machine": machine,
        "turns": args.turns,
        "figures": figures,
        "search": memory,
        "wanted": WANTED,
    }
    (HERE / "report.json").write_text(json.dumps(facts, indent=1) + "\n")
    lines = [
        "# A step of the search over 325 pairs against the same MLP without pairs",
        "",
        "| operations learn from | ratio, median | quartiles |",
        "|---|---|---|",
    ]
    learn = {"joint": "the batch of the weights", "bilevel": "held rows"}
    lines += [
        f"| {learn[f['update']]} | {f['ratio']:.2f} | "
        f"{f['quartiles'][0]:.2f} to {f['quartiles'][1]:.2f} |"
        for f in figures
    ]
    lines += [
        "",
        f"Wanted: at most {WANTED['ratio']:g}. Peak memory of a search of {memory['rows']:,} rows "
        f"and the retraining after it: {memory['peak_gb']:.2f} GB (wanted: at most "
        f"{WANTED['peak_gb']:g}).",
        "",
        "`python experiments/speed/pairs/run.py`: 26 fields of Criteo's sizes, MLP 5 x 700 with "
        f"LayerNorm, batch {BATCH}, widths 20 and 10, crosses in {BUDGET // 10**6} MB, "
        f"{args.turns} turns of 3 steps, {args.threads} threads.",
    ]
    (HERE / "report.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
