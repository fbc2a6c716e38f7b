"""Copied rows, which a split at random puts into training and held-out rows alike."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.data.hashing import splitmix64
from ctrkit.rank.feature import Feature
from ctrkit.rank.joint import keys_of
from ctrkit.rank.result import Duplicates
from ctrkit.rank.sampled import SampledRows
from ctrkit.schema import Schema

LEAST = 0.005  # share of the rows that repeat another one
ROWS = 20
EXCESS = 0.5  # of equal labels among rows of equal values, above chance and up to 1
REVEAL = {"leaking", "near_copy", "one_class", "within"}
"""Flags of fields that make rows of equal fields have equal labels anyway."""
_UNIQUE = 0.9  # values per row of an id
LEVEL = 6.0  # standard errors


def find_duplicates(rows: SampledRows) -> Duplicates | None:
    """Return the copies among sampled rows; None: there are few, or chance explains them.

    Rows of equal fields occur naturally where fields have few values; their labels then differ as
    often as those of any such rows. Copies have equal labels.
    """
    frame = rows.frame
    shown = [n for n, f in rows.features.items() if not REVEAL & {*f.flags}]
    plain = [n for n in shown if n in frame.columns and frame.schema[n] != pl.Object]
    ids = [n for n in plain if not frame.schema[n].is_float() and _is_id(rows.features[n])]
    names = [n for n in plain if n not in ids]
    names += [rows.schema.time] if rows.schema.time in frame.columns else []
    if not names or not frame.height:
        return None
    keys = np.zeros(frame.height, np.uint64)
    for name in dict.fromkeys(names):
        keys = splitmix64(keys ^ _hash(frame.get_column(name), rows.schema))
    table = pl.DataFrame({"key": keys, "label": rows.label, "part": rows.sample.part})
    pairs = table.group_by("key", "label").agg(n=pl.len(), parts=pl.col("part").n_unique())
    repeated = int((pairs["n"] - 1).sum())
    if repeated < ROWS or repeated < LEAST * frame.height:
        return None
    twins = pairs.with_columns(size=pl.col("n").sum().over("key")).filter(pl.col("size") > 1)
    rows_of, size = (twins[c].to_numpy().astype(np.float64) for c in ("n", "size"))
    total = float(rows_of.sum())
    shares = np.bincount(twins["label"].to_numpy(), weights=rows_of) / total
    chance = float((shares**2).sum())
    agree = float((rows_of * (rows_of - 1) / (size - 1)).sum()) / total
    error = math.sqrt(max(chance * (1 - chance), 1e-9) * 2 / total)
    if agree - chance < max(EXCESS * (1 - chance), LEVEL * error):
        return None
    copies = pairs.filter(pl.col("n") > 1)
    across = float((copies["parts"] > 1).mean() or 0.0)  # type: ignore[arg-type]
    return Duplicates(repeated / frame.height, agree, chance, across, tuple(ids))


def _is_id(feature: Feature) -> bool:
    rows = int(feature.table.known.sum())
    return feature.table.keys is not None and feature.shape.cardinality > _UNIQUE * rows


def _hash(values: pl.Series, schema: Schema) -> npt.NDArray[np.uint64]:
    """Hash what a field holds, by its kind; of a number all digits."""
    field = schema.field(values.name) if values.name in schema.names else None
    if field is not None and field.kind == "multi":
        values = keys_of(values, field)
    return values.alias("v").hash(seed=1).to_numpy()  # some names look like patterns
