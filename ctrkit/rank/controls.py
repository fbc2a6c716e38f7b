"""Noise controls: planted columns without meaning, which features must beat."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.hashing import splitmix64, xxhash64
from ctrkit.data.read.chunks import Chunk
from ctrkit.schema import Field

CONTROL = "noise control: "
"""How the names of the columns begin."""
SIZES = {
    "constant": 1,
    "2 values": 2,
    "100 values": 100,
    "2,000 values": 2_000,
    "10,000 values": 10_000,
    "50,000 values": 50_000,
    "row number": None,
}


def control_fields() -> tuple[Field, ...]:
    """Return the planted columns."""
    categorical = [Field(CONTROL + name, "categorical") for name in SIZES]
    return (*categorical, Field(CONTROL + "gaussian", "numeric"))


def plant(chunk: Chunk, seed: int = 0) -> Chunk:
    """Add the control columns to a chunk: functions of file and row number alone."""
    row = chunk.first_row + np.arange(chunk.frame.height, dtype=np.uint64)
    position = row + (np.uint64(chunk.file) << np.uint64(40))
    columns = []
    for f in control_fields():
        draw = splitmix64(position ^ np.uint64(xxhash64(f.name.encode(), seed)))
        size = SIZES.get(f.name.removeprefix(CONTROL))
        if f.kind == "numeric":
            columns.append(pl.Series(f.name, _normal(draw)))
        else:
            values = position if size is None else draw % np.uint64(size)
            columns.append(pl.Series(f.name, values))
    return chunk._replace(frame=chunk.frame.with_columns(columns))


def _normal(draw: npt.NDArray[np.uint64]) -> npt.NDArray[np.float64]:
    """Turn random bits into standard normal numbers (Box and Muller)."""
    uniform = ((draw >> np.uint64(11)) + np.uint64(1)) * 2.0**-53
    angle = (splitmix64(draw) >> np.uint64(11)) * (2.0**-53 * 2 * np.pi)
    normal: npt.NDArray[np.float64] = np.sqrt(-2 * np.log(uniform)) * np.cos(angle)
    return normal
