"""Numbers that are means of the label over these very rows: a target encoding of all rows."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from ctrkit.rank.feature import Feature
from ctrkit.rank.flags.base import Drops, Flag
from ctrkit.rank.null import Floats, over_classes
from ctrkit.rank.result import Evidence
from ctrkit.rank.statistics import Scorer
from ctrkit.registry import register

CLOSE = 0.1  # standard errors within which a mean agrees
VARIANCE = 9.0  # n p (1 - p) of a value that is compared
AGREE = 0.8  # share of the values that must agree
LEVEL = math.log(1e-8)
FITTED_VALUES = 24  # values from which a curve is fitted


@register("flag", "target_encoded")
class TargetEncoded(Flag):
    """The rate of the label per value agrees with the value better than chance permits.

    A number that is made without the labels of these rows differs from their rates by at least the
    sampling error of the rates, whatever it means. The probability of so many rates within a tenth
    of their standard error is bounded by Hoeffding (Ann. Math. Statist. 27, 1956). The rates may be
    the values themselves, an affine or logistic function of them, or smoothed by the base rate.
    """

    leaks: ClassVar[bool] = True
    drops: ClassVar[Drops] = "always"
    phrase: ClassVar[str] = "a target encoding of all rows"

    def of_column(self, feature: Feature, scorer: Scorer) -> Evidence | None:
        """Return the values compared, the share that agrees, and the share expected."""
        cells = feature.table.cells
        if cells is None or len(scorer.null.totals) != 2 or len(cells.value) < 2:
            return None
        rows = over_classes(cells.counts).astype(np.float64)
        rate = cells.counts[:, 1] / rows
        varied = rows * rate * (1 - rate) >= VARIANCE
        value, width, rows, rate = (a[varied] for a in (cells.value, cells.width, rows, rate))
        if len(value) < 2:
            return None
        for fitted, slope, parameters in _curves(value, rows, rate):
            evidence = _agreement(fitted, width * slope, rows, rate, parameters)
            if evidence is not None:
                return evidence
        return None

    def message(self, evidence: Evidence) -> str:
        """Return how many values agree, and how many chance permits."""
        return (
            f"it is the mean label of these rows: for {evidence['agree']:.0%} of "
            f"{evidence['values']:,} values the rate of the label agrees within a tenth of its "
            f"sampling error, which chance permits for {evidence['chance']:.0%}; compute it from "
            "earlier rows alone"
        )


def _agreement(
    fitted: Floats, width: Floats, rows: Floats, rate: Floats, parameters: int
) -> Evidence | None:
    """Return the evidence if more rates agree with their fit than chance permits."""
    inside = (fitted > 0) & (fitted < 1)
    deviation = np.sqrt(rows * rate * (1 - rate))  # of the count
    near = np.maximum(CLOSE * deviation, rows * width / 2)
    agrees = inside & (np.abs(rate - fitted) * rows <= near)
    chance = float(np.minimum(1.0, (2 * near + 1) / (math.sqrt(2 * math.pi) * deviation)).mean())
    count = len(rate) - parameters
    share = (int(agrees.sum()) - parameters) / count
    if share < AGREE or share <= chance:
        return None
    divergence = share * math.log(share / chance)
    divergence += (1 - share) * math.log((1 - share) / (1 - chance)) if share < 1 else 0.0
    if -count * divergence > LEVEL:
        return None
    return {"values": len(rate), "agree": float(agrees.mean()), "chance": chance}


def _curves(
    value: Floats, rows: Floats, rate: Floats
) -> Iterator[tuple[Floats, Floats | float, int]]:
    """Yield fitted rates, their slope by value, and the number of fitted parameters."""
    yield value, 1.0, 0
    if len(value) < FITTED_VALUES:
        return
    spread = float(value.std()) or 1.0
    z = (value - float(value.mean())) / spread
    one = np.ones(len(z))
    for design in ([one, z], [one, z, z / rows, one / rows]):
        x = np.stack(design, axis=1)
        weights = _robust(x, rate, rows)
        slope = weights[1] + (weights[2] / rows if len(weights) > 2 else 0.0)
        yield x @ weights, np.abs(slope) / spread, len(weights)
    logit = np.log(rate / (1 - rate))
    x = np.stack([one, z], axis=1)
    weights = _robust(x, logit, rows * rate * (1 - rate))
    fitted = 1 / (1 + np.exp(-(x @ weights)))
    yield fitted, np.abs(weights[1]) * fitted * (1 - fitted) / spread, 2


def _robust(x: Floats, y: Floats, weight: Floats) -> Floats:
    """Fit a line by least absolute errors (iterated weights): outliers do not move it."""
    scale = np.sqrt(weight)
    adjusted = np.ones(len(y))
    solution = np.zeros(x.shape[1])
    for _ in range(12):
        by = scale * np.sqrt(adjusted)
        solution = np.linalg.lstsq(x * by[:, None], y * by, rcond=None)[0]
        error = np.abs(y - x @ solution) * scale
        adjusted = 1 / np.maximum(error, 1e-3 * float(np.median(error)) + 1e-9)
    result: Floats = solution
    return result
