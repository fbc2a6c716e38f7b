"""Consecutive rows of a file, in pieces of a fixed size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import polars as pl

CHUNK_ROWS = 131_072


class Chunk(NamedTuple):
    """Consecutive rows of one file.

    Attributes:
        frame: The rows.
        file: Ordinal of the file in the source.
        first_row: Row number, within the file, of the frame's first row.
    """

    frame: pl.DataFrame
    file: int
    first_row: int


def rechunk(frames: Iterator[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    """Cut and join frames to exactly ``rows`` rows; the last may be shorter."""
    pieces: list[pl.DataFrame] = []
    size = 0
    for frame in frames:
        while frame.height:
            take = min(rows - size, frame.height)
            pieces.append(frame.head(take))
            frame = frame.slice(take)
            size += take
            if size == rows:
                yield pl.concat(pieces, rechunk=True)
                pieces, size = [], 0
    if pieces:
        yield pl.concat(pieces, rechunk=True)
