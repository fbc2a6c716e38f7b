"""From the options of a split to a decided one that leaves no split empty."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ctrkit.data.read.sources import Source
from ctrkit.data.split.base import SPLITS, SplitPlan
from ctrkit.errors import DataError, SchemaError, nearest
from ctrkit.registry import registry
from ctrkit.schema import Schema


def plan_split(
    source: Source, schema: Schema, *, by: str | None = None, seed: int = 0
) -> SplitPlan:
    """Decide a split; reads at most the one column that decides.

    Args:
        source: Rows to split.
        schema: Schema that declares the split, time and key columns.
        by: Name of a split, in place of the schema's ``[split] by``.
        seed: Seed of the random split.

    Raises:
        SchemaError: The name is unknown, or a column that the split needs is not declared.
        DataError: A split would be empty, or a value cannot be read.
    """
    split = schema.effective_split
    if by is not None and by != split.by:
        split = replace(split, by=by, column=None)
    splitter: type[SplitPlan] = registry.get("split", split.by)
    plan = splitter.decide(source, schema, split, seed)
    if plan.column is not None and plan.column not in source.columns:
        hint = nearest(plan.column, source.columns)
        raise SchemaError(f"the split needs the column {plan.column!r}, not in the data{hint}")
    _check_filled(source, plan)
    return plan


def _check_filled(source: Source, plan: SplitPlan) -> None:
    """Refuse a plan that leaves a split empty; stop reading once each split has a row."""
    filled: set[int] = set()
    columns = [plan.column] if plan.column else list(source.columns)[:1]
    for chunk in source.chunks(columns):
        with source.locating(chunk):
            filled |= set(np.unique(plan.assign(chunk)).tolist())
        if filled >= set(range(len(SPLITS))):
            return
    empty = [name for number, name in enumerate(SPLITS) if number not in filled]
    key = f" of the key {plan.column!r}" if plan.split.by == "random" and plan.column else ""
    raise DataError(
        f"the split by {plan.split.by}{key} leaves no rows for {' and '.join(empty)}; "
        f"give {'a key of more values, ' if key else ''}more rows, other ratios, a smaller "
        "embargo, or another data.split"
    )
