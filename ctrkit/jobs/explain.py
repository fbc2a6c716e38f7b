"""``ctrkit explain``: which pairs of fields a model uses."""

from __future__ import annotations

import json
from pathlib import Path

from ctrkit.bundle import load
from ctrkit.checksums import rewriting
from ctrkit.data.read.sources import open_source
from ctrkit.evaluate import Explanation, explain_source
from ctrkit.files import write_text
from ctrkit.records import run_of
from ctrkit.report import summarise_run, write_report
from ctrkit.runs.inputs import PathLike, read_options


def explain(
    run: PathLike,
    data: PathLike,
    *,
    out: PathLike | None = None,
    rows: int = 20_000,
    top: int = 10,
    seed: int = 0,
    trust_plugins: bool = False,
) -> Explanation:
    """Explain a run: attention lift, ablation of pairs, importance of fields and values.

    Args:
        run: The run folder, or a search folder (its winner).
        data: Raw rows with the label.
        out: JSON file to write; None: ``explain.json`` in the run folder, and its report.
        rows: Number of rows that are scored.
        top: Number of pairs that are ablated and of values that are listed.
        seed: Seed of the sample of rows and of the permutations.
        trust_plugins: Run the plug-in code in the run folder.
    """
    predictor = load(run, trust_plugins=trust_plugins)
    source = open_source(str(data), read_options(predictor.config.data, predictor.schema.columns))
    explanation = explain_source(predictor, source, rows=rows, top=top, seed=seed)
    folder = run_of(run)
    text = json.dumps(explanation, indent=1) + "\n"
    if out is not None:
        write_text(Path(out), text, force=True)
        return explanation
    with rewriting(folder, "explain.json", "report.html"):
        write_text(folder / "explain.json", text, force=True)
        if (folder / "record.json").is_file():
            write_report(summarise_run(folder), folder / "report.html")
    return explanation
