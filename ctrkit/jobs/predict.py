"""``ctrkit predict``: probabilities of raw rows."""

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
) -> int:
    """Score raw rows into a file of the key columns and ``prediction``; return their number.

    Args:
        run: A run folder.
        data: Raw rows; the label is not needed.
        out: ``.parquet`` or ``.csv`` file to write.
        force: Replace ``out`` where it exists.
        trust_plugins: Run the plug-in code that the run folder holds.
    """
    path = Path(out)
    if path.suffix not in (".parquet", ".csv"):
        raise CtrkitError(f"predictions are written to a .parquet or .csv file; got {str(out)!r}")
    refuse_existing(path, force=force)
    predictor = load(run, trust_plugins=trust_plugins)
    source = open_source(str(data), read_options(predictor.config.data, predictor.schema.columns))
    return predictor.predict_source(source, path)
