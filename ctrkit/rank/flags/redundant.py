"""Features that another one nearly determines."""

from __future__ import annotations

from typing import ClassVar

from ctrkit.rank.flags.base import Drops, Flag
from ctrkit.rank.result import Evidence
from ctrkit.registry import register


@register("flag", "redundant")
class Redundant(Flag):
    """High mutual information; set by :mod:`ctrkit.rank.redundancy` on all but the best."""

    warns: ClassVar[bool] = False
    drops: ClassVar[Drops] = "always"

    def message(self, evidence: Evidence) -> str:
        """Return the name of the better feature."""
        return f"{evidence['with']!r} nearly determines it"
