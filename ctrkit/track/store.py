"""Where runs are tracked, and the replay of what a dead store missed."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

from ctrkit.config import RunConfig, TrackConfig
from ctrkit.data.cache import home
from ctrkit.errors import RunFolderError
from ctrkit.records import NullTracker, RunRecord, Tracker
from ctrkit.track.tracker import MlflowTracker, read_state

logger = logging.getLogger(__name__)


def tracking_uri(config: TrackConfig) -> str | None:
    """Return the store: the configuration's, ``CTRKIT_TRACKING_URI``, or SQLite below home."""
    uri = config.uri or os.environ.get("CTRKIT_TRACKING_URI")
    if uri == "none":
        return None
    return uri or f"sqlite:///{home().absolute() / 'mlflow.db'}"


def make_tracker(config: TrackConfig, *, name: str) -> Tracker:
    """Return the tracker of a configuration; ``none`` tracks nothing."""
    uri = tracking_uri(config)
    if uri is None:
        return NullTracker()
    return MlflowTracker(uri, config.experiment, config.run_name or name)


def tracked_at(folder: Path) -> str | None:
    """Return the store and run id that ``tracking.json`` holds, as one text."""
    state = read_state(folder)
    return f"{state['uri']} (run {state['run_id']})" if state else None


def sync(folder: Path) -> int:
    """Replay to the store what it missed of a run; return the number of lines.

    Raises:
        RunFolderError: The folder is no run, or the store still does not answer.
    """
    if not (folder / "config.json").is_file():
        raise RunFolderError(f"{str(folder)!r} is no run folder: it has no config.json")
    text = (folder / "config.json").read_text(encoding="utf-8")
    config = RunConfig.model_validate_json(text)
    state = read_state(folder)
    uri = state["uri"] if state else tracking_uri(config.track)
    if uri is None:
        raise RunFolderError("tracking is off: name a store with CTRKIT_TRACKING_URI")
    name = config.track.run_name or f"{config.model.name}-{config.train.seed}"
    tracker = MlflowTracker(uri, config.track.experiment, name)
    tags = {"ctrkit.config_sha256": config.sha256(), "ctrkit.run_folder": str(folder.absolute())}
    tracker.start(folder, json.loads(text), tags)
    path = folder / "record.json"
    record = RunRecord.load(path) if path.is_file() else None
    status = "FINISHED" if record else (state["status"] if state else "KILLED")
    tracker.finish("KILLED" if status == "RUNNING" else status, record)
    if tracker.dead:
        raise RunFolderError(f"the store {uri} does not answer; try again when it does")
    return tracker.replayed
