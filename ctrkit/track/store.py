"""Where runs are tracked, and the trackers of a configuration."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ctrkit.config.sections import TrackConfig
from ctrkit.data.store.cache import home
from ctrkit.errors import RunFolderError
from ctrkit.records import NullTracker, Tracker
from ctrkit.secrets import redact_address
from ctrkit.track.state import read_state
from ctrkit.track.tracker import PARENT, MlflowTracker, SearchTracker, tagged


def tracking_uri(config: TrackConfig) -> str | None:
    """Return the store: ``track.uri``, ``CTRKIT_TRACKING_URI``, or SQLite in ``CTRKIT_HOME``.

    None: tracking is off.
    """
    uri = config.uri or os.environ.get("CTRKIT_TRACKING_URI")
    if uri == "none":
        return None
    return uri or f"sqlite:///{home().absolute() / 'mlflow.db'}"


def make_tracker(config: TrackConfig, *, name: str) -> Tracker:
    """Return the tracker of a run.

    Args:
        config: Where it is tracked.
        name: Name of the run, unless the configuration has one.
    """
    uri = tracking_uri(config)
    if uri is None:
        return NullTracker()
    return MlflowTracker(uri, config.experiment, config.run_name or name)


def make_search_tracker(config: TrackConfig, *, name: str) -> Tracker:
    """Return the tracker of a search; the runs of its trials are children of its run.

    Args:
        config: Where it is tracked.
        name: Name of the search, unless the configuration has one.
    """
    uri = tracking_uri(config)
    if uri is None:
        return NullTracker()
    return SearchTracker(uri, config.experiment, config.run_name or name)


def tracked_at(folder: Path) -> str | None:
    """Return the store and the run id in ``tracking.json`` as one text, or None."""
    state = read_state(folder)
    return f"{redact_address(state.uri)} (run {state.run_id})" if state else None


def store_of(folder: Path, config: TrackConfig, uri: str | None = None) -> str:
    """Return the store that a run which is there already is sent to.

    The user chooses it: by ``uri``, ``CTRKIT_TRACKING_URI``, or with neither, SQLite in
    ``CTRKIT_HOME``. What the folder states may come from someone else, so it is never opened: it
    must be the same store, unless ``uri`` names another one.

    Args:
        folder: The run folder, or a search folder.
        config: ``[track]`` of its ``config.json``.
        uri: The store that the caller names.

    Raises:
        RunFolderError: Tracking is off, or the folder states another store than the user's.
    """
    state = read_state(folder)
    stated = state.uri if state else config.uri
    chosen = uri or (None if stated == "none" else tracking_uri(TrackConfig()))
    if chosen is None or chosen == "none":
        raise RunFolderError("tracking is off: name a store with --uri or in CTRKIT_TRACKING_URI")
    if uri is None and stated and redact_address(stated) != redact_address(chosen):
        raise RunFolderError(
            f"{str(folder)!r} states the store {redact_address(stated)!r}, which a folder cannot "
            "choose; name the store to use with --uri or in CTRKIT_TRACKING_URI"
        )
    return chosen


def left_open(folder: Path, config: TrackConfig) -> bool:
    """Return whether the store holds the run in a folder, and not as finished."""
    state, uri = read_state(folder), tracking_uri(config)
    if state is None or uri is None:
        return False
    return state.status != "FINISHED" and state.is_in(uri)


@contextmanager
def tracked_below(folder: Path, **tags: object) -> Iterator[None]:
    """Make the runs that start inside the block children of the search in a folder.

    If the run of the search is not tracked yet, ``ctrkit sync`` links its children later.

    Args:
        folder: The search folder.
        **tags: More tags, their names without ``ctrkit.``.
    """
    state = read_state(folder)
    parent = {PARENT: state.run_id} if state else {}
    with tagged({**parent, **{f"ctrkit.{k}": str(v) for k, v in tags.items()}}):
        yield
