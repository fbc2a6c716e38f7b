"""``ctrkit predict``: probabilities of raw rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Option

from ctrkit.cli.options import Data, ForceFile, Json, Run, SafeCsv, Trust
from ctrkit.cli.printing import show


def predict(
    run: Run,
    data: Data,
    out: Annotated[Path, Option("-o", "--out", help="File to write: .parquet or .csv.")] = Path(
        "predictions.parquet"
    ),
    force: ForceFile = False,
    trust_plugins: Trust = False,
    safe_csv: SafeCsv = False,
    json: Json = False,
) -> None:
    """Score raw rows with a run.

    The file holds the key columns, if any, and the column prediction: the probability of a click.

    Example: ctrkit predict run tomorrow.parquet -o scores.parquet
    """
    from ctrkit import jobs

    rows = jobs.predict(
        run, data, out=out, force=force, trust_plugins=trust_plugins, safe_csv=safe_csv
    )
    show({"file": out, "rows": rows}, [f"wrote {out}: {rows:,} rows"], as_json=json)
