"""What all metrics share: labels, logits and weights as checked arrays; weighted means."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ctrkit.errors import DataError

Floats = NDArray[np.float64]
NAN = float("nan")


def as_arrays(
    label: ArrayLike, logit: ArrayLike, weight: ArrayLike | None
) -> tuple[Floats, Floats, Floats]:
    """Return labels, logits and weights as float64 arrays (n,); absent weights are ones.

    Raises:
        DataError: The lengths differ, or a logit is nan.
    """
    y, s = np.asarray(label, np.float64), np.asarray(logit, np.float64)
    w = np.ones(len(y)) if weight is None else np.asarray(weight, np.float64)
    if not y.shape == s.shape == w.shape:
        raise DataError(
            "labels, logits and weights must have one length; got shapes "
            f"{y.shape}, {s.shape} and {w.shape}"
        )
    if np.isnan(s).any():
        raise DataError(f"logits must be numbers; {int(np.isnan(s).sum())} of {len(s)} are nan")
    return y, s, w


def sigmoid(logit: ArrayLike) -> Floats:
    """Return probabilities, without overflow at any logit."""
    s = np.asarray(logit, np.float64)
    small = np.exp(-np.abs(s))
    return np.where(s >= 0, 1.0, small) / (1.0 + small)


def weighted_mean(values: Floats, weight: Floats) -> float:
    """Return the weighted mean; nan where the weights sum to 0."""
    total = float(weight.sum())
    return float(values @ weight) / total if total else NAN


def standard_error(values: Floats, weight: Floats) -> float:
    """Return the standard error of the weighted mean; nan for fewer than two values."""
    n, mean = len(values), weighted_mean(values, weight)
    if n < 2 or math.isnan(mean) or math.isinf(mean):
        return NAN
    spread = float(((values - mean) * weight / weight.sum()) @ ((values - mean) * weight))
    return math.sqrt(spread / float(weight.sum()) * n / (n - 1))
