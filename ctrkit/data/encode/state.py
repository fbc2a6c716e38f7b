"""The fitted state of a field, and the files that hold it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from ctrkit.data.read.errors import reading_errors
from ctrkit.errors import DataError
from ctrkit.schema import RESERVED


@dataclass(frozen=True)
class FieldState:
    """The fitted state of a field; every field encoder keeps its numbers in these attributes.

    Attributes:
        hashed: Whether codes are folded hashes; there is then no vocabulary.
        values: Text of the codes from 3 on.
        counts: Training count of each code (rows,), empty where hashed or a real number.
        mean: Mean of the training values, for ``standard``.
        sd: Standard deviation of the training values, for ``standard``.
        edges: Bucket edges of ``quantile``; for a real number, edges of its transformed values,
            which crosses need.
        missing: Missing training values.
        distinct: Values (or cells) seen in training.
        recode: In a pruned field, the new code of each of the first codes 0, 1, ...; later codes
            stay. A vocabulary without its dropped values needs it for 0 and 1 only, buckets for
            all codes.
        dropped: In a pruned vocabulary, the sorted 64-bit hashes of the values that a selection
            dropped; empty where code 1 was dropped too, because dropped and unseen values then
            share code 2.
    """

    hashed: bool = False
    values: tuple[str, ...] = ()
    counts: tuple[int, ...] = ()
    mean: float = 0.0
    sd: float = 0.0
    edges: tuple[float, ...] = ()
    missing: int = 0
    distinct: int = 0
    recode: tuple[int, ...] = ()
    dropped: tuple[int, ...] = ()

    def facts(self) -> dict[str, Any]:
        """Return what ``encoder.json`` holds of the field: all but the vocabulary's tables."""
        return {
            "hashed": self.hashed,
            "mean": self.mean.hex(),
            "sd": self.sd.hex(),
            "edges": [edge.hex() for edge in self.edges],
            "missing": self.missing,
            "distinct": self.distinct,
            "counts": self.counts[: RESERVED if self.values else None],
            **({"recode": self.recode} if self.recode else {}),
        }

    def save_tables(self, folder: Path, index: int) -> None:
        """Write ``<index>.parquet`` and ``<index>.dropped.parquet`` where there are such values.

        Args:
            folder: The existing folder ``vocabulary/``.
            index: Position of the field in the schema.
        """
        if self.dropped:
            hashes = pl.DataFrame({"hash": self.dropped}, schema={"hash": pl.UInt64})
            hashes.write_parquet(folder / f"{index}.dropped.parquet")
        if self.values:
            table = {
                "code": range(RESERVED, RESERVED + len(self.values)),
                "value": self.values,
                "count": self.counts[RESERVED:],
            }
            types = {"code": pl.UInt32, "value": pl.String, "count": pl.Int64}
            pl.DataFrame(table, schema=types).write_parquet(folder / f"{index}.parquet")

    @classmethod
    def load(cls, facts: Mapping[str, Any], folder: Path, index: int) -> FieldState:
        """Read what :meth:`facts` and :meth:`save_tables` wrote.

        Args:
            facts: The field's entry in ``encoder.json``.
            folder: The folder ``vocabulary/``; it may be missing.
            index: Position of the field in the schema.
        """
        values, counts = _columns(folder / f"{index}.parquet", "value", "count")
        (dropped,) = _columns(folder / f"{index}.dropped.parquet", "hash")
        return cls(
            hashed=facts["hashed"],
            values=values,
            counts=(*facts["counts"], *counts),
            mean=float.fromhex(facts["mean"]),
            sd=float.fromhex(facts["sd"]),
            edges=tuple(map(float.fromhex, facts["edges"])),
            missing=facts["missing"],
            distinct=facts["distinct"],
            recode=tuple(facts.get("recode", ())),
            dropped=dropped,
        )


_TYPES = {"value": pl.String, "count": pl.Int64, "hash": pl.UInt64}


def _columns(path: Path, *names: str) -> list[tuple[Any, ...]]:
    """Return the columns of a parquet file; empty ones where there is no file."""
    if not path.is_file():
        return [() for _ in names]
    with reading_errors(str(path)):
        table = pl.read_parquet(path, glob=False)  # a folder's name is no pattern
        columns = [table[name] for name in names]
    if any(column.dtype != _TYPES[column.name] for column in columns):
        raise DataError(f"{path}: it is damaged: its columns have other types")
    return [tuple(column) for column in columns]
