"""The MLflow mirror of a run. The run folder is the source of truth."""

from ctrkit.track.replay import sync
from ctrkit.track.store import (
    left_open,
    make_search_tracker,
    make_tracker,
    tracked_at,
    tracked_below,
    tracking_uri,
)
from ctrkit.track.tracker import MlflowTracker

__all__ = [
    "MlflowTracker",
    "left_open",
    "make_search_tracker",
    "make_tracker",
    "sync",
    "tracked_at",
    "tracked_below",
    "tracking_uri",
]
