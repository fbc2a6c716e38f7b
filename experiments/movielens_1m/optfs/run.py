"""Search for feature values on MovieLens-1M: four backbones, several sizes, three seeds.

    python datasets/movielens_1m/prepare.py -o data/movielens_1m      (or --source FOLDER)
    python experiments/movielens_1m/optfs/run.py

Every ratio is a search of its own (``ctrkit search features --target-ratio``) with a frequency
cut-off of the same size beside it; the model over all values is trained once per seed. What is
there already is not done again. Writes ``<model>/<ratio>.json`` (the search's record) and
``comparison.md`` beside the configurations, and prints the hours spent.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

from ctrkit import jobs

HERE = Path(__file__).parent
MODELS = ("fm", "deepfm", "dcn", "ipnn")
RATIOS = (0.5, 0.2, 0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/movielens_1m/optfs"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    parser.add_argument("--ratios", type=float, nargs="+", default=list(RATIOS))
    args = parser.parse_args()
    started = time.perf_counter()
    for model in args.models:
        for ratio in args.ratios:
            found = jobs.search_features(
                HERE / model / "search.toml", out=args.runs / f"{model}-{ratio:g}",
                target_ratio=[ratio], seeds=args.seeds,
                controls="default" if ratio == args.ratios[0] else "frequency",
            )  # fmt: skip
            record = {k: found.record[k] for k in ("model", "winner", "search", "rows", "paired")}
            text = json.dumps(record, indent=1)
            (HERE / model / f"{ratio:g}.json").write_text(text + "\n", encoding="utf-8")
            print(f"{model} {ratio:g}: {_cells(found.record['rows']['optfs'])}", flush=True)
    (HERE / "comparison.md").write_text(_comparison(), encoding="utf-8")
    print(f"{(time.perf_counter() - started) / 3600:.2f} hours")


def _comparison() -> str:
    lines = ["| model | values | kept | test AUC | test log loss | MB | less the cut-off's |",
             "|---|---|---|---|---|---|---|"]  # fmt: skip
    for model in MODELS:
        for path in sorted((HERE / model).glob("0.*.json"), reverse=True):
            record = json.loads(path.read_text(encoding="utf-8"))
            for name, rows in record["rows"].items():
                tests = record["paired"]["by frequency"] if name == "optfs" else []
                beside = ", ".join(f"{t['difference']:+.4f}" for t in tests)
                title = "the search" if name == "optfs" else name
                lines.append(f"| {model} | {title} | {_cells(rows)} | {beside} |")
    return "\n".join(lines) + "\n"


def _cells(rows: list[dict[str, Any]]) -> str:
    def mean(values: list[float]) -> str:
        spread = f" ± {statistics.stdev(values):.4f}" if len(values) > 1 else ""
        return f"{statistics.mean(values):.4f}{spread}"

    kept = statistics.mean(r["ratio"] for r in rows)
    size = statistics.mean(r["bytes"] for r in rows) / 1e6
    judged = (mean([r["test"][name] for r in rows]) for name in ("auc", "logloss"))
    return " | ".join([f"{kept:.0%}", *judged, f"{size:.2f}"])


if __name__ == "__main__":
    main()
