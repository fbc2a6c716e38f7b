"""Search for feature values on MovieLens-1M: four backbones, several sizes, three seeds.

    python datasets/movielens_1m/prepare.py -o data/movielens_1m      (or --source FOLDER)
    python experiments/movielens_1m/optfs/run.py

Every ratio is a search of its own (``ctrkit search features --target-ratio``) with a frequency
cut-off of the same size as its control; the model over all values is trained once per seed.
``--default`` searches with the default penalties instead, ``--report`` only writes the table and
the chart of existing results. Existing results are not computed again. Writes
``<model>/<ratio>.json`` (the record of the search), ``comparison.md`` and ``pareto.svg`` next to
the configurations, and prints the hours spent.
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
    parser.add_argument("--default", action="store_true", help="the default penalties, no ratio")
    parser.add_argument("--report", action="store_true", help="train nothing")
    args = parser.parse_args()
    started = time.perf_counter()
    if not args.report:
        tries = [("default", [])] if args.default else [(f"{r:g}", [r]) for r in args.ratios]
        for model in args.models:
            for name, ratio in tries:
                every = args.default or ratio == [RATIOS[0]]
                _search(
                    model, name, ratio, args.runs, args.seeds, "default" if every else "frequency"
                )
    (HERE / "comparison.md").write_text(_comparison(), encoding="utf-8")
    _pareto(HERE / "pareto.svg")
    print(f"{(time.perf_counter() - started) / 3600:.2f} hours")


def _search(
    model: str, name: str, ratio: list[float], runs: Path, seeds: int, controls: str
) -> None:
    found = jobs.search_features(
        HERE / model / "search.toml",
        out=runs / f"{model}-{name}",
        target_ratio=ratio,
        seeds=seeds,
        controls=controls,
    )
    names = ("model", "winner", "search", "candidates", "rows", "paired", "fields_dropped")
    text = json.dumps({k: found.record[k] for k in names}, indent=1)
    (HERE / model / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    print(f"{model} {name}: {_cells(found.record['rows']['optfs'])}", flush=True)


def _records(model: str) -> list[dict[str, Any]]:
    """Return the records of the ratios, largest first."""
    paths = sorted((HERE / model).glob("0.*.json"), reverse=True)
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


def _comparison() -> str:
    lines = [
        "| model | values | kept | test AUC | test log loss | MB | less the cut-off's |",
        "|---|---|---|---|---|---|---|",
    ]
    for model in MODELS:
        whole = False
        for record in _records(model):
            for name, rows in record["rows"].items():
                if name == "all values" and whole:
                    continue
                whole |= name == "all values"
                tests = record["paired"]["by frequency"] if name == "optfs" else []
                by_seed = ", ".join(f"{t['difference']:+.4f}" for t in tests)
                title = "the search" if name == "optfs" else name
                lines.append(f"| {model} | {title} | {_cells(rows)} | {by_seed} |")
    return "\n".join(lines) + "\n"


def _pareto(path: Path) -> None:
    """Draw size against log loss per model: the mean and the range over seeds."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    mpl.rcParams["svg.hashsalt"] = "pareto"
    figure, axes = plt.subplots(1, len(MODELS), figsize=(12, 3.2), sharey=True)
    for ax, model in zip(axes, MODELS, strict=True):
        records = _records(model)
        whole = next(r["rows"]["all values"] for r in records if "all values" in r["rows"])
        for name, title, style in (("optfs", "the search", "o-"), ("by frequency",) * 2 + ("s--",)):
            points = [_point(rows) for rows in (whole, *(r["rows"][name] for r in records))]
            x, y, low, high = zip(*points, strict=True)
            spread = [
                [b - a for a, b in zip(low, y, strict=True)],
                [b - a for a, b in zip(y, high, strict=True)],
            ]
            ax.errorbar(x, y, spread, fmt=style, label=title, markersize=4, capsize=2)
        ax.set(title=model, xlabel="MB of weights")
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("test log loss")
    axes[0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def _point(rows: list[dict[str, Any]]) -> tuple[float, float, float, float]:
    losses = [r["test"]["logloss"] for r in rows]
    size = statistics.mean(r["bytes"] for r in rows) / 1e6
    return size, statistics.mean(losses), min(losses), max(losses)


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
