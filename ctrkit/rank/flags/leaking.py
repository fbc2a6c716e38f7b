"""Columns that tell too much of the label: known only after the click, or derived from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import polars as pl

from ctrkit.rank.feature import Feature
from ctrkit.rank.flags.base import Drops, Flag
from ctrkit.rank.flags.id_like import is_id
from ctrkit.rank.flags.near_copy import is_copy
from ctrkit.rank.null import Ints, over_classes
from ctrkit.rank.result import Evidence
from ctrkit.rank.spectrum import Spectrum
from ctrkit.rank.statistics import Scorer
from ctrkit.rank.tables import Table
from ctrkit.registry import register

BY_VALUE = 0.3  # gain of the values, as a share of the label's entropy
BY_MISSINGNESS = 0.1  # gain of missing against known
BY_ORDER = 0.1  # gain of the order of ids
BY_DOMINANCE = 0.25  # gain of a feature ...
TIMES = 3.0  # ... that holds so many times as much as all other features together
OTHERS = 4  # other features that are not noise, at least
BINS = 32
ORDERED_KEYS = 20_000
_KNOWN = ("leaking", "near_copy", "one_class", "within", "future", "target_encoded")


@register("flag", "leaking")
class Leaking(Flag):
    """By its values, by whether it is missing, by the order of its ids, or beside the others."""

    leaks: ClassVar[bool] = True
    drops: ClassVar[Drops] = "always"
    covers: ClassVar[tuple[str, ...]] = ("one_class", "within", "target_encoded", "id_like")

    def of_column(self, feature: Feature, scorer: Scorer) -> Evidence | None:
        """Return the share of the label's entropy; the last of the three reasons that applies."""
        entropy, evidence = scorer.null.entropy, None
        gain = feature.statistics.gain / entropy
        if gain >= BY_VALUE and not is_copy(feature, scorer):
            why = "this column alone tells much of the label"
            adj = feature.statistics.information.adj / entropy
            evidence = {"why": why, "adj": adj, "gain": gain}
        if feature.missing is not None and feature.missing.gain / entropy >= BY_MISSINGNESS:
            why = "whether it is missing tells much of the label"
            evidence = {"why": why, "gain": feature.missing.gain / entropy}
        if is_id(feature, scorer):
            gain = _gain_of_order(feature.table, scorer) / entropy
            if gain >= BY_ORDER:
                why = (
                    "the order of its values predicts the label: ids were assigned after the "
                    "label, or rows were sorted by it"
                )
                evidence = {"why": why, "gain": gain}
        return evidence

    def message(self, evidence: Evidence) -> str:
        """Return the reason, and the share of the label's entropy."""
        others = evidence.get("others")
        beside = "" if others is None else f", all others at most {others:.0%}"
        return f"{evidence['why']} ({evidence['gain']:.0%} of the label's entropy{beside})"


def flag_dominant(features: Sequence[Feature], scorer: Scorer) -> None:
    """Flag a feature that tells more of the label than all others that are not flagged, by far.

    Args:
        features: Features with their flags, noise included.
        scorer: Scorer against the label.
    """
    plain = [f for f in features if not f.is_token and not {*f.flags} & {"noise", *_KNOWN}]
    plain.sort(key=lambda f: -f.statistics.gain)
    if len(plain) <= OTHERS:
        return
    gain, entropy = plain[0].statistics.gain, scorer.null.entropy
    rest = sum(f.statistics.gain for f in plain[1:])
    if gain >= BY_DOMINANCE * entropy and gain >= TIMES * rest:
        plain[0].flags["leaking"] = {
            "why": "this column tells far more of the label than all other fields together",
            "gain": gain / entropy,
            "others": rest / entropy,
        }


def _gain_of_order(table: Table, scorer: Scorer) -> float:
    """Return the gain of bins of consecutive ids: numbers by value, text by its last digits."""
    assert table.keys is not None
    chosen = _sample(table.keys)
    keys = table.keys.gather(chosen)
    number = keys.cast(pl.Int64, strict=False)
    if number.null_count():
        number = keys.str.extract(r"(\d{1,18})$").cast(pl.Int64, strict=False)
    order = chosen[(keys if number.null_count() else number).arg_sort().to_numpy()]
    counts = table.known[order]
    place = np.cumsum(over_classes(counts)) * BINS // max(int(counts.sum()), 1)
    binned = np.zeros((BINS + 1, counts.shape[1]), np.int64)
    np.add.at(binned, place, counts)
    totals = binned.sum(axis=0)  # of the sampled keys alone
    if not (totals > 0).all():
        return 0.0
    known = int(table.known.sum()) / scorer.null.rows
    return Scorer(totals).score([Spectrum.of(binned)])[0].gain * known


def _sample(keys: pl.Series) -> Ints:
    """Choose about ``ORDERED_KEYS`` keys by their hash: the same ones in any order."""
    if len(keys) <= ORDERED_KEYS:
        return np.arange(len(keys))
    bound = np.uint64(2**64 * ORDERED_KEYS // len(keys))
    return np.flatnonzero(keys.hash(seed=0).to_numpy() < bound)
