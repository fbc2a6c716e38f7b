"""Explanations by pair of fields."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ctrkit.checksums import check_files
from ctrkit.report.numbers import DASH
from ctrkit.report.run.files import RunFiles
from ctrkit.report.summary import Table


def field_pairs(run: RunFiles) -> Iterator[Table]:
    """Yield the table of ablation and attention, where ``ctrkit explain`` was run."""
    path = run.folder / "explain.json"
    check_files(run.folder, [path.name], "explain the run again")
    if not path.is_file():
        return
    explained = json.loads(path.read_text(encoding="utf-8"))
    attention = explained["attention"] or {}
    lift = {tuple(p["fields"]): p["lift"][0] for p in attention.get("pairs", [])}
    rows = []
    for pair in explained["ablation"]["pairs"]:
        value = lift.get(tuple(pair["fields"]))
        shown = DASH if value is None else f"{value:.3f}"
        rows.append([" × ".join(pair["fields"]), f"{pair['score']:+.5f} ± {pair['se']:.5f}", shown])
    columns = ["pair", "ablation (log loss)", "attention lift, layer 1"]
    yield Table("Field pairs", columns, rows, explained["caveats"])
