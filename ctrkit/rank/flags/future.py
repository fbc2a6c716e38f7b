"""Columns of times that lie after the event of their row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import polars as pl

from ctrkit.data.columns.epoch import seconds_of
from ctrkit.rank.flags.base import Drops, Flag
from ctrkit.rank.null import Floats
from ctrkit.rank.result import Evidence
from ctrkit.rank.sampled import SampledRows
from ctrkit.registry import register

LATER = 0.01  # share of the times that lie after the event
ROWS = 20
_YEAR = 365.25 * 86_400  # seconds
_NEAR = 30 * _YEAR  # times that far from all events are other numbers


@register("flag", "future")
class Future(Flag):
    """Times later than the time of the row: known only after the event.

    Dates, ISO 8601 text, and numbers since 1970 in any unit are compared with the time column.
    """

    leaks: ClassVar[bool] = True
    drops: ClassVar[Drops] = "always"
    covers: ClassVar[tuple[str, ...]] = ("id_like",)
    phrase: ClassVar[str] = "a time after the event"

    def of_rows(self, rows: SampledRows) -> Mapping[str, Evidence]:
        """Return the share of later times, and by how much the later ones are later."""
        events = rows.times()
        if events is None:
            return {}
        found = {}
        for field in rows.schema.fields:
            if field.name == rows.schema.time or field.name not in rows.frame.columns:
                continue
            times = _seconds(rows.frame.get_column(field.name), events)
            if times is None:
                continue
            later = times - events
            ahead = later[later > 0]
            known = int((~np.isnan(times)).sum())
            if len(ahead) >= ROWS and len(ahead) >= LATER * known:
                found[field.name] = {
                    "time": rows.schema.time,
                    "later": len(ahead) / known,
                    "by": float(np.median(ahead)),
                }
        return found

    def message(self, evidence: Evidence) -> str:
        """Return the share, and the median lead."""
        return (
            f"{evidence['later']:.1%} of its times are later than {evidence['time']!r} of the same "
            f"row, by {_duration(evidence['by'])} in the median"
        )


def _seconds(values: pl.Series, events: Floats) -> Floats | None:
    """Return a column as seconds since 1970 if its values are times near the events."""
    times = seconds_of(values)
    if times is None:
        return None
    known = times[~np.isnan(times)]
    near = (known > events.min() - _NEAR) & (known < events.max() + _NEAR)
    return times if near.mean() > 0.9 else None


def _duration(seconds: float) -> str:
    for size, name in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= size:
            return f"{seconds / size:.1f} {name}"
    return f"{seconds:.1f} seconds"
