"""Count tables to features: statistics, shape, missing rows, drift, and flags of single columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ctrkit.rank.drift import Drift
from ctrkit.rank.feature import Feature
from ctrkit.rank.flags.base import all_flags
from ctrkit.rank.null import Ints
from ctrkit.rank.result import Signal
from ctrkit.rank.shape import shape_of
from ctrkit.rank.spectrum import Spectrum
from ctrkit.rank.statistics import Scorer
from ctrkit.rank.tables import Table


def describe(tables: Sequence[Table], scorer: Scorer, totals: Ints, rare: int) -> list[Feature]:
    """Return a feature per table, with the flags that one column alone can have.

    Args:
        tables: Count tables.
        scorer: Scorer against the label.
        totals: (periods, C) rows.
        rare: A value is rare below this many rows.
    """
    statistics = scorer.score([Spectrum.of(t.by_class) for t in tables])
    drift = Drift(totals) if len(totals) > 1 else None
    flags = all_flags()
    features = []
    for table, of_table in zip(tables, statistics, strict=True):
        feature = Feature(table, shape_of(table, rare), of_table)
        feature.missing, feature.known = _missing_and_known(table, scorer)
        if drift is not None:
            feature.drift, feature.by_third = drift.of(table)
        for name, flag in flags.items():
            evidence = flag.of_column(feature, scorer)
            if evidence is not None:
                feature.flags[name] = evidence
        features.append(feature)
    return features


def _missing_and_known(table: Table, scorer: Scorer) -> tuple[Signal | None, Signal | None]:
    """Score missing against known, and the feature without its missing rows."""
    if not table.missing.any():
        return None, None
    known = table.known
    indicator = np.stack([known.sum(axis=0), table.missing.sum(axis=0)])  # (2, C)
    missing = _signal(scorer, indicator)
    if not len(known) or not (known.sum(axis=0) > 0).all():
        return missing, None
    return missing, _signal(Scorer(known.sum(axis=0)), known)


def _signal(scorer: Scorer, counts: Ints) -> Signal:
    statistics = scorer.score([Spectrum.of(counts)])[0]
    return Signal(statistics.gain, statistics.information.adj, statistics.information.p)
