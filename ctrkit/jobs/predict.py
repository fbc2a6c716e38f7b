"""``ctrkit predict``: click probabilities of raw rows."""

from __future__ import annotations

from pathlib import Path

from ctrkit.bundle import load
from ctrkit.data.read.sources import open_source
from ctrkit.errors import CtrkitError
from ctrkit.files import refuse_existing
from ctrkit.runs.inputs import PathLike, read_options


def predict(
    run: PathLike,
    data: PathLike,
    *,
    out: PathLike = "predictions.parquet",
    force: bool = False,
    trust_plugins: bool = False,
    safe_csv: bool = False,
) -> int:
    """Score raw rows; write the key column and ``prediction`` to a file; return the row count.

    Args:
        run: The run folder, or a search folder (its winner).
        data: Raw rows; the label is not needed.
        out: The ``.parquet`` or ``.csv`` file to write.
        force: Overwrite ``out`` if it exists.
        trust_plugins: Run the plug-in code in the run folder.
        safe_csv: Keep spreadsheets from reading texts of a ``.csv`` file as formulas.
    """
    path = Path(out)
    if path.suffix not in (".parquet", ".csv"):
        raise CtrkitError(f"the predictions file must end in .parquet or .csv; got {str(out)!r}")
    refuse_existing(path, force=force)
    predictor = load(run, trust_plugins=trust_plugins)
    source = open_source(str(data), read_options(predictor.config.data, predictor.schema.columns))
    return predictor.predict_source(source, path, safe_csv=safe_csv)
