"""Hyper-parameter search on MovieLens-1M: TPE, random search, and the defaults, three seeds.

    python datasets/movielens_1m/prepare.py -o data/movielens_1m      (or --source FOLDER)
    python experiments/movielens_1m/params/run.py

Each arm and seed gets the same time (``--minutes``, 20 by default) for trials on the same space,
with the same pruner; its best trial on validation is trained with the arm's seed and evaluated
on the test rows once. The defaults are DeepFM with the hyper-parameters of its paper where ctrkit
has none of its own: MLP 400-400, width 16, Adam at 0.001. Existing results are not computed again,
and an interrupted arm has only the rest of its minutes left. ``--report`` only writes the table.
Writes ``<arm>-<seed>.json`` (the record of the search) and ``comparison.md`` next to this file, and
prints the hours spent. ``--pipeline`` also runs ``ctrkit search pipeline`` once, into
``pipeline.json``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

from ctrkit import jobs
from ctrkit.report.numbers import difference

HERE = Path(__file__).parent
ARMS = {"tpe": ["search.sampler=tpe"], "random": ["search.sampler=random"]}
STEPS = ("features.", "interactions.", "params.")
"""Options of the pipeline's steps."""
NAMES = ("winner", "counts", "seconds", "importances", "rows", "paired", "search")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/movielens_1m/params"))
    parser.add_argument("--data", type=Path, help="in place of data/movielens_1m")
    parser.add_argument("--records", type=Path, default=HERE)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--set", action="append", default=[], help="a setting, for a quick look")
    parser.add_argument("--pipeline", action="store_true")
    parser.add_argument("--report", action="store_true", help="train nothing")
    args = parser.parse_args()
    started = time.perf_counter()
    where = [] if args.data is None else [f"data.path={json.dumps(str(args.data.absolute()))}"]
    more = [*where, *args.set]
    if not args.report:
        for seed in range(args.seeds):
            for arm in args.arms:
                _search(arm, seed, args.runs, args.minutes, args.records, more)
        if args.pipeline:
            _pipeline(args.runs, args.seeds, args.records, more)
    (args.records / "comparison.md").write_text(_comparison(args.records), encoding="utf-8")
    print(f"{(time.perf_counter() - started) / 3600:.2f} hours")


def _search(
    arm: str, seed: int, runs: Path, minutes: float, records: Path, more: list[str]
) -> None:
    found = jobs.search_params(
        HERE / "search.toml",
        out=runs / f"{arm}-{seed}",
        seed=seed,
        timeout=60 * minutes,
        set=[*ARMS[arm], *(text for text in more if not text.startswith(STEPS))],
    )
    text = json.dumps({k: found.record[k] for k in NAMES}, indent=1)
    (records / f"{arm}-{seed}.json").write_text(text + "\n", encoding="utf-8")
    print(f"{arm} {seed}: {found.record['rows']['the search'][0]['test']}", flush=True)


def _pipeline(runs: Path, seeds: int, records: Path, more: list[str]) -> None:
    """Run all steps once; the plain model gets as many trials."""
    overrides = [text for text in more if not text.startswith("search.")]
    found = jobs.search_pipeline(
        None if any(t.startswith("data.path=") for t in overrides) else Path("data/movielens_1m"),
        model="deepfm",
        out=runs / "pipeline",
        trials=10,
        seeds=seeds,
        set=["train.epochs=5", "train.batch_size=4096", *overrides],
    )
    names = ("steps", "against_before", "rows", "paired", "warnings")
    text = json.dumps({k: found.record[k] for k in names}, indent=1)
    (records / "pipeline.json").write_text(text + "\n", encoding="utf-8")


def _comparison(records: Path) -> str:
    head = "| hyper-parameters | seeds | trials | pruned | validation log loss | test log loss "
    head += "| test AUC |"
    lines = [head, "|---|---|---|---|---|---|---|"]
    before: dict[int, dict[str, Any]] = {}
    losses: dict[str, dict[int, float]] = {}
    for arm in ARMS:
        paths = sorted(records.glob(f"{arm}-*.json"))
        found = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
        if not found:
            continue
        rows = [record["rows"]["the search"][0] for record in found]
        losses[arm] = {row["seed"]: row["test"]["logloss"] for row in rows}
        before |= {r["seed"]: r for f in found for r in f["rows"].get("before", [])}
        ended = [sum(f["counts"][k] for k in ("complete", "pruned", "fail")) for f in found]
        pruned = [f["counts"]["pruned"] for f in found]
        lines.append(
            _row(arm, rows, f"{statistics.mean(ended):.0f}", f"{statistics.mean(pruned):.0f}")
        )
    if before:
        lines.append(_row("defaults", list(before.values()), "–", "–"))
        losses["defaults"] = {seed: row["test"]["logloss"] for seed, row in before.items()}
    lines.append("")
    for other in [name for name in losses if name != "tpe"]:
        seeds = sorted(losses.get("tpe", {}).keys() & losses[other].keys())
        if len(seeds) > 1:
            apart = [{"difference": losses["tpe"][s] - losses[other][s]} for s in seeds]
            lines.append(
                f"Test log loss, tpe less {other}, {len(seeds)} seeds, mean and 95 % "
                f"interval: {difference(apart)}\n"
            )
    return "\n".join(lines).rstrip() + "\n"


def _row(name: str, rows: list[dict[str, Any]], trials: str, pruned: str) -> str:
    def spread(split: str, metric: str) -> str:
        values = [row[split][metric] for row in rows]
        deviation = f" ± {statistics.stdev(values):.5f}" if len(values) > 1 else ""
        return f"{statistics.mean(values):.5f}{deviation}"

    cells = [
        name,
        str(len(rows)),
        trials,
        pruned,
        spread("validation", "logloss"),
        spread("test", "logloss"),
        spread("test", "auc"),
    ]
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
