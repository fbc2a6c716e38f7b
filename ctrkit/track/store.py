"""Where runs are tracked, and the replay of what a dead store missed."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ctrkit.config.sections import RunConfig, TrackConfig
from ctrkit.data.store.cache import home
from ctrkit.errors import RunFolderError
from ctrkit.files import copy
from ctrkit.records import NullTracker, RunRecord, Tracker
from ctrkit.track.tracker import (
    PARENT,
    MlflowTracker,
    SearchTracker,
    connect,
    read_pending,
    read_state,
    tagged,
)

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


def make_search_tracker(config: TrackConfig, *, name: str) -> Tracker:
    """Return the tracker of a search, whose trials are children of its run."""
    uri = tracking_uri(config)
    if uri is None:
        return NullTracker()
    return SearchTracker(uri, config.experiment, config.run_name or name)


@contextmanager
def tracked_below(folder: Path, **tags: object) -> Iterator[None]:
    """Make the runs that begin inside children of the search that lives in a folder.

    Args:
        folder: The search folder; where its run is not tracked, ``sync`` says later whose they are.
        **tags: More tags, their names without ``ctrkit.``.
    """
    state = read_state(folder)
    parent = {PARENT: state["run_id"]} if state else {}
    with tagged({**parent, **{f"ctrkit.{k}": str(v) for k, v in tags.items()}}):
        yield


def sync(folder: Path) -> int:
    """Replay to the store what it missed of a run, or of a search and its trials.

    Returns:
        The number of lines.

    Raises:
        RunFolderError: The folder is neither, or the store still does not answer.
    """
    if (folder / "search.json").is_file():
        return _sync_search(folder)
    if not (folder / "config.json").is_file():
        raise RunFolderError(f"{str(folder)!r} is not a run folder: it has no config.json")
    text = (folder / "config.json").read_text(encoding="utf-8")
    config = RunConfig.model_validate_json(text)
    name = config.track.run_name or f"{config.model.name}-{config.train.seed}"
    tags = {"ctrkit.config_sha256": config.sha256(), "ctrkit.run_folder": str(folder.absolute())}
    path = folder / "record.json"
    record = RunRecord.load(path) if path.is_file() else None
    pending = read_pending(folder) or {}
    tracker = MlflowTracker(
        _store_of(folder, config.track), config.track.experiment, pending.get("name", name)
    )
    return _replay(tracker, folder, text, tags, record, "FINISHED" if record else "")


def _sync_search(folder: Path) -> int:
    """Replay a search: its own run first, for its trials name it."""
    lines, path = 0, folder / "config.json"
    if path.is_file():
        text = path.read_text(encoding="utf-8")
        config = TrackConfig.model_validate(json.loads(text).get("track", {}))
        uri, name = _store_of(folder, config), config.run_name or folder.absolute().name
        tracker = SearchTracker(uri, config.experiment, name)
        status = "FINISHED" if (folder / "record.json").is_file() else ""
        tags = {"ctrkit.search_folder": str(folder.absolute())}
        lines += _replay(tracker, folder, text, tags, None, status)
    found = (path.parent for path in folder.rglob("metrics.jsonl"))
    for child in sorted(found, key=lambda p: (p.name == "run", -len(p.parts), p)):  # copies last
        if child == folder or not (child / "config.json").is_file():
            continue
        _take_over(child)
        outcome = _outcome(folder, child)
        with tracked_below(folder, **({"trial": outcome["slot"]} if outcome else {})):
            lines += sync(child)
        _adopt_child(folder, child, outcome)
    return lines


def _take_over(child: Path) -> None:
    """Let a copy of a run, such as the winner's on top, be the run that it was copied from."""
    tags = (read_pending(child) or {}).get("tags", {})
    original = Path(tags.get("ctrkit.run_folder", child))
    if original.absolute() != child.absolute() and read_state(original) is not None:
        copy(original / "tracking.json", child / "tracking.json")


def _outcome(folder: Path, child: Path) -> dict[str, Any]:
    """Return what is noted of the trial that a run belongs to."""
    parts = child.relative_to(folder).parts
    path = folder / "trials" / f"{parts[1] if len(parts) > 1 else ''}.json"
    found: dict[str, Any] = (
        json.loads(path.read_text(encoding="utf-8"))
        if parts[0] == "trials" and path.is_file()
        else {}
    )
    return found


def _adopt_child(folder: Path, child: Path, outcome: Mapping[str, Any]) -> None:
    """Tell the store whose child a run is, and how its trial ended."""
    parent, state = read_state(folder), read_state(child)
    if not state or parent is None or state["uri"] != parent["uri"]:
        return
    client = connect(state["uri"])
    client.set_tag(state["run_id"], PARENT, parent["run_id"])
    if outcome.get("state") == "FAIL":
        client.set_terminated(state["run_id"], "FAILED")


def _store_of(folder: Path, config: TrackConfig) -> str:
    state = read_state(folder)
    uri = str(state["uri"]) if state else tracking_uri(config)
    if uri is None:
        raise RunFolderError("tracking is off: name a store with CTRKIT_TRACKING_URI")
    return uri


def _replay(
    tracker: MlflowTracker,
    folder: Path,
    text: str,
    tags: Mapping[str, str],
    record: RunRecord | None,
    status: str,
) -> int:
    state, pending = read_state(folder), read_pending(folder) or {}
    status = status or (state["status"] if state else "KILLED")
    parameters = pending.get("parameters") or json.loads(text)
    tracker.start(folder, parameters, {**tags, **pending.get("tags", {})})
    tracker.finish("KILLED" if status == "RUNNING" else status, record)
    if tracker.dead:
        raise RunFolderError(f"the store {tracker.uri} does not answer; try again when it does")
    return tracker.replayed
