"""``tracking.json``: where the store holds a run, or what it needs to take the run later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ctrkit.errors import CtrkitError
from ctrkit.files import read_json, write_json
from ctrkit.secrets import redact_address


@dataclass(frozen=True)
class Tracked:
    """A run that a store holds.

    Attributes:
        uri: The store, without its password. It is compared with the store that the user names,
            never opened: the file may have come from someone else.
        experiment: Name of the experiment.
        run_id: Identifier of the run in the store.
        status: ``RUNNING``, ``FINISHED``, ``KILLED`` or ``FAILED``.
        step: The last step that the store holds.
    """

    uri: str
    experiment: str
    run_id: str
    status: str
    step: int

    def is_in(self, uri: str) -> bool:
        """Return whether a store is the one that holds the run; passwords may differ."""
        return redact_address(self.uri) == redact_address(uri)


@dataclass(frozen=True)
class Pending:
    """A run that no store holds yet.

    Attributes:
        name: Name of the run.
        parameters: The configuration, nested.
        tags: Tags of the run.
    """

    name: str
    parameters: Mapping[str, Any]
    tags: Mapping[str, str]


def write_state(folder: Path, state: Tracked | Pending) -> None:
    """Write ``tracking.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    data = asdict(state) if isinstance(state, Tracked) else {"run_id": "", **asdict(state)}
    write_json(folder / "tracking.json", data, default=str)


def read_state(folder: Path) -> Tracked | None:
    """Return what ``tracking.json`` states of a run that a store holds, else None."""
    data = _read(folder)
    if not data.get("run_id"):
        return None
    try:
        return Tracked(
            uri=str(data["uri"]),
            experiment=str(data["experiment"]),
            run_id=str(data["run_id"]),
            status=str(data["status"]),
            step=int(data["step"]),
        )
    except (KeyError, TypeError, ValueError):  # of another version
        return None


def read_pending(folder: Path) -> Pending | None:
    """Return what ``tracking.json`` states of a run that no store holds yet, else None."""
    data = _read(folder)
    if not data or data.get("run_id"):
        return None
    parameters, tags = data.get("parameters"), data.get("tags")
    return Pending(
        str(data.get("name", "")),
        parameters if isinstance(parameters, dict) else {},
        {str(k): str(v) for k, v in tags.items()} if isinstance(tags, dict) else {},
    )


def damaged(folder: Path) -> bool:
    """Return whether there is a ``tracking.json`` that states nothing."""
    there = (folder / "tracking.json").is_file()
    return there and read_state(folder) is None and read_pending(folder) is None


def _read(folder: Path) -> dict[str, Any]:
    """Return the table in ``tracking.json``; empty where there is none or it is damaged."""
    try:
        data = read_json(folder / "tracking.json")
    except (CtrkitError, OSError):
        return {}
    return data if isinstance(data, dict) else {}
