"""Search for pairs on MovieLens-1M: several budgets, three seeds, every control.

    python datasets/movielens_1m/prepare.py -o data/movielens_1m      (or --source FOLDER)
    python experiments/movielens_1m/interactions/run.py

Every budget (megabytes of crosses) is a search of its own (``ctrkit search interactions
--budget``); the controls that no budget changes are trained with the first. Existing results
are not computed again. Writes ``<budget>.json`` (the record of the search) and ``comparison.md``
next to the configuration, and prints the hours spent.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

from ctrkit import jobs
from ctrkit.report.numbers import average, difference, mean_and_spread

HERE = Path(__file__).parent
BUDGETS = (256, 16, 4, 1)
KEPT = ("model", "search", "fields", "pairs", "rows", "paired")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=Path, default=Path("runs/movielens_1m/interactions"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budgets", type=float, nargs="+", default=list(BUDGETS))
    args = parser.parse_args()
    started = time.perf_counter()
    for budget in args.budgets:
        found = jobs.search_interactions(
            HERE / "search.toml",
            out=args.runs / f"{budget:g}MB",
            budget=int(budget * 1e6),
            seeds=args.seeds,
            controls="all" if budget == args.budgets[0] else "default",
        )
        record = {k: found.record[k] for k in KEPT}
        text = json.dumps(record, indent=1) + "\n"
        (HERE / f"{budget:g}.json").write_text(text, encoding="utf-8")
        ours = [r["test"]["logloss"] for r in record["rows"]["optinter"]]
        print(f"{budget:g} MB: log loss {mean_and_spread(ours)}", flush=True)
    (HERE / "comparison.md").write_text(comparison(), encoding="utf-8")
    print(f"{(time.perf_counter() - started) / 3600:.2f} hours")


def comparison() -> str:
    """Compare the search of every budget with its controls, and describe what was gained."""
    paths = sorted(HERE.glob("*.json"), key=lambda path: -float(path.stem))
    records = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}
    most = next(
        average(r["cross_rows"] for r in record["rows"]["all memorize"])
        for record in records.values()
        if "all memorize" in record["rows"]
    )
    lines = [
        "| budget, MB | pairs | m / f / n | test AUC | test log loss | cross rows of "
        "all-memorize's | MB | the search's log loss less this, 95 % |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for budget, record in records.items():
        for name, rows in record["rows"].items():
            tests = record["paired"].get(name)
            cells = [
                budget,
                _title(name, rows),
                _operations(rows),
                mean_and_spread([r["test"]["auc"] for r in rows]),
                mean_and_spread([r["test"]["logloss"] for r in rows]),
                f"{average(r['cross_rows'] for r in rows) / most:.1%}",
                f"{average(r['bytes'] for r in rows) / 1e6:.2f}",
                difference(tests) if tests else "",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    lines += [
        "",
        "m / f / n: pairs memorized, factorized, left alone; mean ± standard deviation, "
        "and intervals, over seeds.",
        "",
        *described(records, most),
    ]
    return "\n".join(lines) + "\n"


def _title(name: str, rows: list[dict[str, Any]]) -> str:
    labels = sorted({r["label"] for r in rows if r.get("label")})
    plain = "the search" if name == "optinter" else name
    return f"{plain} ({', '.join(labels)})" if labels else plain


def _operations(rows: list[dict[str, Any]]) -> str:
    return " / ".join(
        f"{average(r['pairs'][op] for r in rows):.3g}" for op in ("memorize", "factorize", "naive")
    )


def described(records: dict[str, dict[str, Any]], most: float) -> list[str]:
    """Describe what each budget gained over each control."""
    lines = []
    for budget, record in records.items():
        ours = average(r["cross_rows"] for r in record["rows"]["optinter"])
        gains = "; ".join(
            f"{difference(tests)} nats against {name}" for name, tests in record["paired"].items()
        )
        lines.append(
            f"- {budget} MB: with {ours / most:.1%} of the cross rows of memorizing every pair, "
            f"the log loss changes by {gains}."
        )
    return lines


if __name__ == "__main__":
    main()
