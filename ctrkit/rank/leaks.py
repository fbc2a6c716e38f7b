"""Leaks among sampled rows of a data set: what ``train`` warns about before its first step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from ctrkit.data.sample import RowSample, Sampled
from ctrkit.data.split.base import LEFT_OUT, SPLITS
from ctrkit.rank.describe import describe
from ctrkit.rank.feature import Feature
from ctrkit.rank.flags.base import all_flags
from ctrkit.rank.flags.noise import flag_noise
from ctrkit.rank.joint import JointCounts
from ctrkit.rank.null import Ints
from ctrkit.rank.row_flags import flag_rows
from ctrkit.rank.rows import RowClasses
from ctrkit.rank.statistics import Scorer
from ctrkit.rank.tables import tables
from ctrkit.schema import Schema

MOST_LINES = 20


def leak_warnings(sampled: Sampled, schema: Schema, *, by_chance: bool) -> list[str]:
    """Return a line per suspicious field, the most severe first, and one about copied rows.

    Each line names the field, the evidence and the way out.

    Args:
        sampled: Sampled rows of all splits, with labels of 0 and 1.
        schema: What the columns mean.
        by_chance: Whether rows were split at random, so that splits differ by chance alone.
    """
    sample = sampled.rows
    if sample is None:
        return []
    sample = _in_splits(sample)
    described = _described(sample, schema, parts=1 if by_chance else len(SPLITS))
    if described is None:
        return []
    features, scorer = described
    flag_noise(features, None)
    for name, rows in sampled.values.items():
        alone = replace(schema, fields=(schema.field(name),), crosses=())
        counted = _described(_in_splits(rows), alone, parts=1)
        evidence = counted[0][0].flags.get("target_encoded") if counted else None
        if evidence is not None:
            next(f for f in features if f.name == name).flags["target_encoded"] = evidence
    duplicates = flag_rows(features, sample, schema, scorer)
    lines = _lines(features)
    if len(lines) > MOST_LINES:
        lines = [*lines[:MOST_LINES], f"{len(lines) - MOST_LINES} more fields may be leaks"]
    if duplicates is not None:
        lines.append(duplicates.message())
    return lines


def _in_splits(sample: RowSample) -> RowSample:
    """Return the rows that belong to a split."""
    kept = sample.part != LEFT_OUT
    if kept.all():
        return sample
    return RowSample(
        sample.frame.filter(pl.Series(kept)), sample.part[kept], sample.label[kept], sample.share
    )


def _described(
    sample: RowSample, schema: Schema, parts: int
) -> tuple[list[Feature], Scorer] | None:
    """Return the features of sampled rows; None: the rows have one class only."""
    classes = RowClasses(schema, bounds=(0.0, 0.0) if parts > 1 else None)
    label = sample.label.astype(np.uint8)
    row_class = sample.part * np.uint8(classes.classes) + label if parts > 1 else label
    counts = JointCounts(schema, classes.width)
    counts.update(sample.frame, row_class)
    totals: Ints = counts.totals.reshape(-1, classes.classes)
    by_class = totals.sum(axis=0)
    if not (by_class > 0).all():
        return None
    scorer = Scorer(by_class)
    return describe(tables(counts, classes, tokens=0), scorer, totals, rare=5), scorer


def _lines(features: list[Feature]) -> list[str]:
    flags = {name: flag for name, flag in all_flags().items() if flag.leaks}
    lines, seen = [], set()
    for name, flag in flags.items():
        for f in features:
            if name not in f.flags or f.name in seen:
                continue
            seen.add(f.name)
            lines.append(
                f"{f.name!r} is {flag.phrase or name}: {flag.message(f.flags[name])}; leave it out "
                f"with --ignore {f.name}, unless it is known when a model predicts"
            )
    return lines
