"""Quality of single rows, by class of the label."""

from __future__ import annotations

import numpy as np
import polars as pl

from ctrkit.data.read.chunks import Chunk
from ctrkit.data.read.sources import Source
from ctrkit.errors import DataError
from ctrkit.rank.null import Floats, xlogx
from ctrkit.rank.result import RowMeasure, RowProfile
from ctrkit.rank.rows import Classes, RowClasses
from ctrkit.schema import Schema

PROFILE_ROWS = 1_000
HEAD_ROWS = 2_000


def first_rows(source: Source, schema: Schema, rows: RowClasses) -> Chunk:
    """Return the first rows of the fields, the label and the time.

    Raises:
        DataError: There are none.
    """
    names = [n for n in schema.names if n in source.columns]
    columns = list(dict.fromkeys([*names, *rows.columns]))
    for ordinal in range(len(source.files)):
        for chunk in source.file_frames(ordinal, columns, rows=1):
            return chunk._replace(frame=chunk.frame.head(HEAD_ROWS))
    raise DataError("the data has no rows")


def row_profile(head: Chunk, schema: Schema, rows: RowClasses) -> RowProfile:
    """Profile the first rows of a source; see :func:`row_measures`."""
    names = [n for n in schema.names if n in head.frame.columns]
    head = head._replace(frame=head.frame.head(PROFILE_ROWS))
    measures = row_measures(head.frame[list(names)], rows.label_of(head), list(rows.names))
    return RowProfile(head.frame.height, measures)


def row_measures(frame: pl.DataFrame, label: Classes, names: list[str]) -> list[RowMeasure]:
    """Return means, by class, of measures of single rows.

    The measures of OutRank's ``instance_ranking``: per row the share of fields that are missing,
    empty or ``{}``, ``0``, longer than 30 to 300 characters, and the sum of the entropies of
    their characters (nats). Source: OutRank (arXiv 2309.01552), package 0.97.5.

    Args:
        frame: (n,) rows of text and numbers.
        label: (n,) classes.
        names: Names of the classes.
    """
    text = [_text(column.alias(f"{i}")) for i, column in enumerate(frame.get_columns())]
    if not text or not frame.height:
        return []
    anything = pl.all()
    flags = {
        "missing": anything.is_null(),
        "empty or {}": anything.is_in(["", "{}"]).fill_null(False),
        "zero": (anything == "0").fill_null(False),
        **{
            f"longer than {n}": (anything.str.len_chars() > n).fill_null(False)
            for n in (30, 60, 100, 200, 300)
        },
    }
    means = [pl.mean_horizontal(flag.cast(pl.Float64)).alias(n) for n, flag in flags.items()]
    measures = {c.name: c.to_numpy() for c in pl.DataFrame(text).select(means).get_columns()}
    measures["entropy of characters"] = _entropies(text)
    classes = [(name, label == i) for i, name in enumerate(names)]
    return [
        RowMeasure(
            measure,
            {name: float(v[at].mean()) if at.any() else None for name, at in classes},
        )
        for measure, v in measures.items()
    ]


def _text(column: pl.Series) -> pl.Series:
    """Return a column as text; of lists, their lengths."""
    if isinstance(column.dtype, pl.Array):
        column = column.arr.to_list()
    if isinstance(column.dtype, pl.List):
        column = column.list.len()
    elif column.dtype == pl.Duration:
        column = column.to_physical()
    return column.cast(pl.String, strict=False)


def _entropies(columns: list[pl.Series]) -> Floats:
    """Return each row's sum, over columns, of the entropy of the text's bytes, in nats."""
    rows = len(columns[0])
    every = pl.concat([c.alias("text") for c in columns])
    lengths = every.str.len_bytes().fill_null(0).to_numpy().astype(np.int64)
    flat = np.frombuffer("".join(every.drop_nulls().to_list()).encode(), np.uint8)
    key = np.repeat(np.arange(len(lengths)), lengths) * 256 + flat
    key.sort()
    starts = np.flatnonzero(np.append(True, key[1:] != key[:-1]))[: len(key)]
    count = np.diff(np.append(starts, len(key)))
    inside = np.bincount(key[starts] // 256, weights=xlogx(count), minlength=len(lengths))
    entropy = np.log(np.maximum(lengths, 1)) - inside / np.maximum(lengths, 1)
    total: Floats = entropy.reshape(-1, rows).sum(axis=0)
    return total
