"""How fast a trained model scores raw rows: the objective ``latency``."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from ctrkit.bundle import load
from ctrkit.data.read.sources import Source
from ctrkit.schema import Schema

ROWS, TIMES, WARM_UP = 256, 20, 2


def latency(run: Path, source: Source, schema: Schema) -> float:
    """Return the median milliseconds in which a run scores 256 raw rows."""
    predictor = load(run, trust_plugins=True)
    names = [n for n in schema.names if n in source.columns]
    frame = next(iter(source.chunks(names, ROWS))).frame.head(ROWS)
    times = []
    for _ in range(WARM_UP + TIMES):
        started = time.perf_counter()
        predictor.predict(frame)
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times[WARM_UP:])
