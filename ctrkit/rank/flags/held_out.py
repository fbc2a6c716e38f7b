"""Columns whose later (held-out) rows hold values that no earlier row has."""

from __future__ import annotations

from typing import ClassVar

from ctrkit.rank.feature import Feature
from ctrkit.rank.flags.base import Flag
from ctrkit.rank.null import over_classes
from ctrkit.rank.result import Evidence
from ctrkit.rank.statistics import Scorer
from ctrkit.registry import register

UNSEEN = 0.5  # share of the rows of a part with new values
EXCESS = 0.25  # of them above chance
TIMES = 20.0  # a value so many times as frequent as in the earlier rows counts as new
ROWS = 100


@register("flag", "held_out")
class HeldOut(Flag):
    """More rows of a part than chance allows hold values that hardly occur in the parts before.

    The parts are splits or thirds. If rows were drawn at random, a value of m rows would be in one
    part alone with probability ``share ** m``.
    """

    leaks: ClassVar[bool] = True
    phrase: ClassVar[str] = "new in later rows"
    covers: ClassVar[tuple[str, ...]] = ("drifting",)

    def of_column(self, feature: Feature, scorer: Scorer) -> Evidence | None:
        """Return the part, its share of rows with new values, and the one expected."""
        if feature.table.keys is None or feature.is_token:
            return None  # new numbers lie among those that are known, or near them
        size = feature.table.counts.sum(axis=2)  # (n, periods)
        for part in range(1, size.shape[1]):
            late, early = size[:, part], over_classes(size[:, :part])
            known, before = int(late.sum()), int(early.sum())
            if known < ROWS or before < ROWS:
                continue
            new = late * before >= TIMES * early * known
            unseen = float(late[new].sum()) / known
            both = late + early
            expected = float((both * (known / (known + before)) ** both).sum()) / known
            if unseen >= UNSEEN and unseen - expected >= EXCESS:
                return {"part": part + 1, "unseen": unseen, "expected": min(expected, 1.0)}
        return None

    def message(self, evidence: Evidence) -> str:
        """Return both shares."""
        return (
            f"{evidence['unseen']:.0%} of the rows in part {evidence['part']} of 3 hold values "
            f"that hardly occur in the rows before ({evidence['expected']:.0%} by chance): a "
            "model cannot learn them"
        )
