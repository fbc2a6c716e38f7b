"""How a feature changes between the first and the last third of the rows."""

from __future__ import annotations

import numpy as np

from ctrkit.rank.null import Ints
from ctrkit.rank.result import Thirds
from ctrkit.rank.spectrum import Spectrum
from ctrkit.rank.statistics import Scorer
from ctrkit.rank.tables import Table


class Drift:
    """Compares the first third of the rows with the last."""

    def __init__(self, totals: Ints) -> None:
        """Set up.

        Args:
            totals: (periods, C) rows.
        """
        ends = totals[[0, -1]]
        self._between = Scorer(ends.sum(axis=1)) if (ends.sum(axis=1) > 0).all() else None
        self._within = [Scorer(t) if (t > 0).all() else None for t in totals]

    def of(self, table: Table) -> tuple[float | None, Thirds]:
        """Return the drift of a feature, and its coverage and scores by third.

        The drift is the Jensen-Shannon divergence between the first and the last third (nats,
        0..ln 2), minus its expectation under equal distributions.
        """
        size = table.counts.sum(axis=2)  # (n, periods)
        missing = table.missing.sum(axis=1)
        known = size.sum(axis=0)
        rows = zip(known, known + missing, strict=True)
        by_third = Thirds([float(k / r) if r else None for k, r in rows], [], [])
        for i, scorer in enumerate(self._within):
            counts = np.concatenate([table.counts[:, i], table.missing[i : i + 1]])
            score = scorer.score([Spectrum.of(counts)])[0] if scorer else None
            by_third.adj.append(score.information.adj if score else None)
            by_third.gain.append(score.gain if score else None)
        if self._between is None:
            return None, by_third
        both = np.concatenate([size, missing[None]])[:, [0, -1]]
        return self._between.adjusted(Spectrum.of(both[both.any(axis=1)]))[2], by_third
