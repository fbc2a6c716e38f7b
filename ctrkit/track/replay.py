"""``ctrkit sync``: send to the store what it missed of a run, or of a search and its trials."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from ctrkit.config.messages import validation_message
from ctrkit.config.sections import RunConfig, Section, TrackConfig
from ctrkit.errors import RunFolderError, TrackingError
from ctrkit.files import copy, read_json, refuse_links
from ctrkit.records import RunRecord
from ctrkit.secrets import redact_address
from ctrkit.track.client import connect
from ctrkit.track.state import read_pending, read_state
from ctrkit.track.store import store_of, tracked_below, tracking_uri
from ctrkit.track.tracker import PARENT, MlflowTracker, SearchTracker

S = TypeVar("S", bound=Section)


@dataclass(frozen=True)
class Trial:
    """The trial of a search that a run belongs to.

    Attributes:
        slot: Its number in the search.
        failed: Whether it failed.
    """

    slot: int
    failed: bool


def sync(folder: Path, uri: str | None = None) -> int:
    """Send to the store what it missed of a run, or of a search and its trials.

    Args:
        folder: The run folder, or the search folder.
        uri: The store; None: see :func:`ctrkit.track.store.store_of`.

    Returns:
        The number of metric lines that were sent.

    Raises:
        RunFolderError: The folder is neither a run's nor a search's, a link leads out of it, it
            states another store than the user's, or the store does not answer.
        TrackingError: The store is broken.
    """
    refuse_links(folder)
    if (folder / "search.json").is_file():
        return _sync_search(folder, uri)
    if not (folder / "config.json").is_file():
        raise RunFolderError(f"{str(folder)!r} is not a run folder: it has no config.json")
    config = _validated(RunConfig, _read_config(folder), folder)
    path = folder / "record.json"
    record = RunRecord.load(path) if path.is_file() else None
    name = config.track.run_name or f"{config.model.name}-{config.train.seed}"
    pending = read_pending(folder)
    tracker = MlflowTracker(
        store_of(folder, config.track, uri),
        config.track.experiment,
        pending.name if pending and pending.name else name,
    )
    tags = {"ctrkit.config_sha256": config.sha256(), "ctrkit.run_folder": str(folder.absolute())}
    return _replay(tracker, folder, tags, record, finished=record is not None)


def _sync_search(folder: Path, uri: str | None) -> int:
    """Replay a search: its own run first, which those of its trials refer to."""
    lines = 0
    if (folder / "config.json").is_file():
        config = _validated(TrackConfig, _read_config(folder).get("track", {}), folder)
        name = config.run_name or folder.absolute().name
        tracker = SearchTracker(store_of(folder, config, uri), config.experiment, name)
        tags = {"ctrkit.search_folder": str(folder.absolute())}
        finished = (folder / "record.json").is_file()
        lines += _replay(tracker, folder, tags, None, finished=finished)
    for run in _runs_below(folder):
        _share_state(folder, run)
        trial = _trial_of(folder, run)
        with tracked_below(folder, **({"trial": trial.slot} if trial else {})):
            lines += sync(run, uri)
        _link(folder, run, trial, uri)
    return lines


def _runs_below(folder: Path) -> list[Path]:
    """Return the runs in a search folder; the copy of the winner comes after its original."""
    runs = (path.parent for path in folder.rglob("metrics.jsonl"))
    ordered = sorted(runs, key=lambda p: (p.name == "run", -len(p.parts), p))
    return [p for p in ordered if p != folder and (p / "config.json").is_file()]


def _share_state(folder: Path, run: Path) -> None:
    """Let the copy of a run, such as the winner's, share the tracked run of its original."""
    pending = read_pending(run)
    original = Path(pending.tags.get("ctrkit.run_folder", run)) if pending else run
    if not original.resolve().is_relative_to(folder.resolve()):
        return
    if original.absolute() != run.absolute() and read_state(original) is not None:
        copy(original / "tracking.json", run / "tracking.json")


def _trial_of(folder: Path, run: Path) -> Trial | None:
    """Return the trial that a run belongs to, if its end was noted."""
    parts = run.relative_to(folder).parts
    path = folder / "trials" / f"{parts[1] if len(parts) > 1 else ''}.json"
    if parts[0] != "trials" or not path.is_file():
        return None
    note = json.loads(path.read_text(encoding="utf-8"))
    return Trial(note["slot"], note.get("state") == "FAIL")


def _link(folder: Path, run: Path, trial: Trial | None, uri: str | None) -> None:
    """Make a run the child of the search in the store; state there if its trial failed."""
    parent, state = read_state(folder), read_state(run)
    store = uri or tracking_uri(TrackConfig())
    if state is None or parent is None or store is None:
        return
    if not (state.is_in(store) and parent.is_in(store)):
        return
    client = connect(store)
    client.set_tag(state.run_id, PARENT, parent.run_id)
    if trial is not None and trial.failed:
        client.set_terminated(state.run_id, "FAILED")


def _validated(kind: type[S], data: object, folder: Path) -> S:
    """Return a section of a folder's ``config.json``."""
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        where = str(folder / "config.json")
        raise RunFolderError(
            f"{where!r} cannot be read: {validation_message(error, kind)}"
        ) from None


def _replay(
    tracker: MlflowTracker,
    folder: Path,
    tags: Mapping[str, str],
    record: RunRecord | None,
    *,
    finished: bool,
) -> int:
    """Send what the store lacks; return the number of metric lines."""
    state, pending = read_state(folder), read_pending(folder)
    status = "FINISHED" if finished else state.status if state else "KILLED"
    parameters = (pending.parameters if pending else None) or _read_config(folder)
    tracker.start(folder, parameters, {**tags, **(pending.tags if pending else {})})
    tracker.finish("KILLED" if status == "RUNNING" else status, record)
    if isinstance(tracker.cause, TrackingError):
        raise tracker.cause
    if tracker.dead:
        store = redact_address(tracker.uri)
        raise RunFolderError(f"the store {store} does not answer; try again when it does")
    return tracker.replayed


def _read_config(folder: Path) -> dict[str, Any]:
    data = read_json(folder / "config.json")
    if not isinstance(data, dict):
        raise RunFolderError(f"{str(folder / 'config.json')!r} must be a table; got {data!r:.80}")
    return data
