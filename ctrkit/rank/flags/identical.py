"""Columns that are one column under several names."""

from __future__ import annotations

from typing import ClassVar

from ctrkit.rank.flags.base import Drops, Flag
from ctrkit.rank.result import Evidence
from ctrkit.registry import register


@register("flag", "identical")
class Identical(Flag):
    """Equal values in every row; set by :mod:`ctrkit.rank.redundancy` on all but the first."""

    drops: ClassVar[Drops] = "always"
    crossed: ClassVar[bool] = False

    def message(self, evidence: Evidence) -> str:
        """Return the name of the other feature."""
        return f"it equals {evidence['to']!r} in every row"
