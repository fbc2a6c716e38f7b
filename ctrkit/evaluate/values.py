"""The values of a field of encoded rows, as text for people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from ctrkit.bundle.predictor import Predictor
from ctrkit.data.store.batch import Encoded
from ctrkit.schema import DROPPED, MISSING, UNSEEN

RESERVED_NAMES = {MISSING: "(missing)", UNSEEN: "(unseen or rare)", DROPPED: "(dropped)"}
QUARTER_NAMES = (
    "lowest quarter",
    "second quarter",
    "third quarter",
    "highest quarter",
    RESERVED_NAMES[MISSING],
)


def field_values(predictor: Predictor, encoded: Encoded, index: int) -> pl.DataFrame:
    """Return the columns ``row`` and ``value`` (text) of a field of encoded rows.

    Real numbers are cut at their quartiles; a row of a multi-valued field has one line per value.

    Args:
        predictor: The run that encoded the rows.
        encoded: The rows.
        index: Position of the field in the layout.
    """
    field = predictor.layout.fields[index]
    place = predictor.layout.column(index)
    rows = np.arange(len(encoded.codes))
    if field.kind == "numeric":
        return _quartiles(encoded.numbers[:, place])
    if field.kind == "categorical":
        codes = encoded.codes[:, place]
    else:
        codes, lengths = encoded.bags[place]
        rows = np.repeat(rows, lengths)
    lines = pl.DataFrame({"row": rows, "code": codes.astype(np.int64)}).unique(maintain_order=True)
    distinct = lines["code"].unique(maintain_order=True)
    texts = pl.Series(_decode(predictor, index, distinct.to_list()), dtype=pl.String)
    return lines.with_columns(
        pl.col("code").replace_strict(distinct, texts, return_dtype=pl.String).alias("value")
    ).select("row", "value")


def _decode(predictor: Predictor, index: int, codes: Sequence[int]) -> list[str]:
    """Return the texts of codes; ``#code`` where the encoder kept only a hash."""
    field = predictor.layout.fields[index]
    names = [] if field.hashed else predictor.encoder.values(field.name)
    return [
        RESERVED_NAMES.get(code) or (names[code] if code < len(names) else f"#{code}")
        for code in codes
    ]


def _quartiles(numbers: npt.NDArray[np.float32]) -> pl.DataFrame:
    """Cut encoded numbers at their quartiles (of the transformed values)."""
    rows, missing = np.arange(len(numbers)), np.isnan(numbers)
    present = numbers[~missing]
    edges = np.quantile(present, [0.25, 0.5, 0.75]) if len(present) else np.zeros(3)
    quarter = np.where(missing, 4, np.searchsorted(edges, numbers, side="left"))
    return pl.DataFrame({"row": rows, "value": [QUARTER_NAMES[q] for q in quarter]})
