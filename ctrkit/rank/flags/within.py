"""Columns that determine the label within one category of another column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np

from ctrkit.rank.feature import Feature
from ctrkit.rank.flags.base import Drops, Flag
from ctrkit.rank.null import Ints
from ctrkit.rank.result import Evidence
from ctrkit.rank.sampled import CODED_ROWS, CODES, SampledRows
from ctrkit.registry import register

ROWS = 200  # rows of a category that is judged
OTHERS = 20  # rows in it that are not of its most frequent class
ERRORS = 0.3  # share of these that a rule per value may get wrong, within the category ...
ELSEWHERE = 0.7  # ... where it gets more than this wrong in the other rows
PER_VALUE = 10  # rows per value, at least, so that a rule is not found by chance
GAIN = 0.001  # of the label's entropy over all rows, below which a field is not looked into
REVEAL = {"leaking", "near_copy", "one_class"}
"""Flags of fields whose values are no categories to look into: they reveal the label themselves."""
MOST_FIELDS, MOST_CATEGORIES = 12, 64


@register("flag", "within")
class Within(Flag):
    """The values predict the label with few errors, but in one category of another field only.

    Ranges of a number are no categories: numbers that belong together, such as an amount and its
    share, determine much within a range of one of them.

    Judged on sampled rows, for the most frequent values of the best features and of the fields
    with the fewest values. A column that holds the label in one part of the log (one country, one
    source) is hidden in scores over all rows.
    """

    leaks: ClassVar[bool] = True
    drops: ClassVar[Drops] = "always"
    phrase: ClassVar[str] = "the label itself within one category"

    def of_rows(self, rows: SampledRows) -> Mapping[str, Evidence]:
        """Return the field and value of the category, and the share of errors inside and out."""
        features, count = rows.features, min(rows.frame.height, CODED_ROWS)
        strong = [n for n, f in features.items() if f.statistics.gain >= GAIN * rows.entropy]
        strong = sorted(strong, key=lambda n: -_z(features[n]))[:MOST_FIELDS]
        plain = {
            n: f
            for n, f in features.items()
            if rows.schema.field(n).kind != "numeric" and not REVEAL & {*f.flags}
        }
        categories = [n for n, f in plain.items() if _top_share(f) * count >= ROWS]
        categories = sorted(categories, key=lambda n: features[n].table.size)[:MOST_CATEGORIES]
        if not strong or not categories:
            return {}
        classes = int(rows.label.max()) + 1
        wide = len(categories) * CODES * CODES  # cells of one class
        starts = np.arange(len(categories))[:, None] * (CODES * CODES)
        places = np.stack([rows.codes(n) for n in categories]) * CODES + starts
        found = {}
        for name in strong:
            inner = rows.label[:count] * wide + rows.codes(name)
            counts = np.bincount((places + inner).ravel(), minlength=classes * wide)
            counts = counts.reshape(classes, -1, CODES, CODES)
            place, evidence = _evidence(counts, name, categories)
            if evidence is not None:
                code = int(evidence.pop("code"))
                field = categories[place]
                found[name] = {"field": field, "value": rows.shown(field, code), **evidence}
        return found

    def message(self, evidence: Evidence) -> str:
        """Return the category and the errors."""
        return (
            f"where {evidence['field']!r} is {evidence['value']} ({evidence['rows']:,} of the "
            f"sampled rows), it avoids {1 - evidence['errors']:.0%} of the errors in predicting "
            f"the label, elsewhere {1 - evidence['elsewhere']:.0%}"
        )


def _z(feature: Feature) -> float:
    """Return the information of a feature in standard deviations: few values count for it."""
    return feature.statistics.information.z or 0.0


def _top_share(feature: Feature) -> float:
    """Return the share of the rows with the most frequent value, or without one."""
    coverage = feature.shape.coverage
    return max(feature.shape.top_share * coverage, 1 - coverage)


def _evidence(
    counts: Ints, name: str, categories: Sequence[str]
) -> tuple[int, dict[str, float] | None]:
    """Return where the values determine the label best, and the evidence if it is enough.

    Args:
        counts: ``(C, fields, categories, values)`` rows; the last category holds all other values.
        name: Field of the values.
        categories: Fields of the categories.
    """
    by_class = counts.sum(axis=3)  # (C, fields, categories)
    rows = by_class.sum(axis=0)
    others = rows - by_class.max(axis=0)
    best = counts.max(axis=0)  # (fields, categories, values)
    right = best.sum(axis=2)
    used = (best > 0).sum(axis=2)
    errors = (rows - right) / np.maximum(others, 1)
    judged = (rows >= ROWS) & (others >= OTHERS) & (rows >= PER_VALUE * used)
    judged &= errors <= ERRORS
    judged[:, -1] = False
    judged[[other == name for other in categories]] = False
    if not judged.any():
        return 0, None
    place, at = np.unravel_index(np.where(judged, errors, np.inf).argmin(), errors.shape)
    rest = counts[:, place].sum(axis=1) - counts[:, place, at]  # (C, values)
    constant = int(rest.sum() - rest.sum(axis=1).max())
    elsewhere = float(rest.sum() - rest.max(axis=0).sum()) / max(constant, 1)
    if elsewhere < ELSEWHERE:
        return 0, None
    share = {"errors": float(errors[place, at]), "elsewhere": elsewhere}
    return int(place), {"code": int(at), "rows": int(rows[place, at]), **share}
