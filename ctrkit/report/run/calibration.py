"""Reliability plot: predicted against observed rates."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow.parquet as pq

from ctrkit.checksums import check_files
from ctrkit.metrics import Reliability
from ctrkit.metrics.sorted_rows import SortedRows
from ctrkit.records import RETRAIN
from ctrkit.report.charts import Line
from ctrkit.report.run.files import RunFiles


def calibration(run: RunFiles) -> Iterator[Line]:
    """Yield the reliability plot of the test split, where its predictions were saved."""
    check_files(run.folder, ["predictions/test.parquet"], RETRAIN)
    path = run.folder / "predictions" / "test.parquet"
    if not path.is_file():
        return
    with pq.ParquetFile(path) as file:
        names = [n for n in ("label", "logit", "weight") if n in file.schema_arrow.names]
        batches = file.iter_batches(columns=names)
        rows = (tuple(b.column(n).to_numpy() for n in names) for b in batches)
        padded = ((*row, None)[:3] for row in rows)
        bins = SortedRows(file.metadata.num_rows, padded).reliability()
    yield reliability_plot("Calibration on the test split", bins)


def reliability_plot(title: str, bins: Reliability) -> Line:
    """Return the chart of observed rates over mean predictions, a point per bin."""
    points = [[float(p), float(o)] for p, o in zip(bins.predicted, bins.observed, strict=True)]
    return Line(title, "predicted", "observed", {"bins of equal count": points}, diagonal=True)
