"""Folders of work: who may write into one, and whether it holds the same job already.

A run and a search each have their own folder. A job *claims* its folder before it reads
any data, which refuses a folder that holds something else, and *opens* it when there is something
to write, which removes what is to be overwritten.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from ctrkit.checksums import CHECKSUMS, check_files, forget_checksums
from ctrkit.config.sections import RunConfig
from ctrkit.errors import RunFolderError
from ctrkit.files import refuse_links, remove, remove_unfinished, write_json
from ctrkit.schema import Schema

WORKERS = "workers"
"""Subfolder of a search that several processes share: their locks, logs and journal."""
LABELS = {"config": "configuration", "config_sha256": "configuration", "source": "data"}
"""Entry of an identity -> what an error message calls it, where that is not the entry's name."""


class WorkFolder(ABC):
    """A folder that holds one job's files and nothing else.

    Attributes:
        path: The folder.
        identity: What makes the job the same job when its command is run again: JSON values by
            name. A job that is equal in all of them resumes; any other needs ``--force``.
        parts: Names of the files and folders that may be in it. ``--force`` removes these alone.
    """

    kind: ClassVar[str]
    """What the folder holds, as messages call it."""
    STATED_IN: ClassVar[tuple[str, ...]]
    """Names of the files that state the identity."""

    def __init__(self, path: Path, identity: Mapping[str, object], parts: tuple[str, ...]) -> None:
        self.path = path
        self.identity = identity
        self.parts = parts

    @abstractmethod
    def stored(self) -> Mapping[str, object]:
        """Return the identity of the job in the folder; empty where the folder states none."""

    def present(self) -> list[str]:
        """Return the names in the folder, except hidden ones (temporary files of killed jobs)."""
        entries = self.path.iterdir() if self.path.is_dir() else ()
        return sorted(entry.name for entry in entries if not entry.name.startswith("."))

    def same(self) -> bool:
        """Return whether the folder holds this job, started or finished."""
        stored = self.stored()
        return bool(stored) and stored == self.identity

    def finished(self) -> bool:
        """Return whether the folder holds this job, finished: record and report are there."""
        return (self.path / "report.html").is_file() and self.recorded()

    def recorded(self) -> bool:
        """Return whether the folder holds this job with its record; the report may be missing."""
        return (self.path / "record.json").is_file() and self.same()

    def differences(self) -> list[str]:
        """Return in what the job in the folder differs from this one, in words."""
        stored, identity = self.stored(), self.identity
        if not stored:
            return []
        names = [n for n in {**stored, **identity} if stored.get(n) != identity.get(n)]
        return list(dict.fromkeys(LABELS.get(name, name) for name in names))

    def claim(self, *, force: bool) -> None:
        """Check that the job may use the folder; change nothing.

        Args:
            force: Whether another job in the folder may be overwritten.

        Raises:
            RunFolderError: The path is a file, the folder holds files that no such job writes or
                a link that leads out of it, or it holds another job, or a damaged one, and
                ``force`` is off.
        """
        where = repr(str(self.path))
        refuse_links(self.path)
        if self.path.exists() and not self.path.is_dir():
            raise RunFolderError(f"the output {where} is a file; name a folder with -o")
        present = self.present()
        foreign = [name for name in present if name not in self.parts]
        if foreign:
            raise RunFolderError(
                f"the folder {where} holds files that do not belong to a {self.kind} "
                f"({foreign[0]!r}); name another folder with -o"
            )
        if present and not force and not self.same():
            check_files(self.path, self.STATED_IN, "overwrite the folder with --force")
            words = ", ".join(self.differences())
            raise RunFolderError(
                f"the folder {where} holds another {self.kind}"
                f"{f' (different {words})' if words else ''}; name another folder with -o, "
                "or overwrite it with --force"
            )

    def open(self, *, force: bool) -> None:
        """Make the folder ready to be written: remove another job's files, or all with ``force``.

        Call :meth:`claim` first. What the same job left is kept, so that it can resume. Record
        and report go first and what states the identity last: a folder that is half emptied never
        passes for a finished job, nor for another one than it held.
        """
        if force or not self.same():
            outcome = ("record.json", "report.html")
            rest = [name for name in self.parts if name not in (*outcome, *self.STATED_IN)]
            for name in (*outcome, *rest, *self.STATED_IN):
                remove(self.path / name)
        self.path.mkdir(parents=True, exist_ok=True)

    def clean(self) -> None:
        """Remove the unfinished files of killed jobs; call it in a folder that is locked."""
        remove_unfinished(self.path, self.parts)
        for name in self.parts:
            _clean(self.path / name)


class SearchFolder(WorkFolder):
    """The folder of a search; ``search.json`` in it states which search it is."""

    kind: ClassVar[str] = "search"
    STATED_IN: ClassVar[tuple[str, ...]] = ("search.json",)
    CHECKED: ClassVar[tuple[str, ...]] = (
        "search.json",
        "run.toml",
        "schema.toml",
        "pairs.json",
        "init.safetensors",
        "features.parquet",
        "trials.parquet",
        "record.json",
        "report.html",
    )
    """What gets checksums when the search is finished; runs and encoders have their own."""

    def __init__(self, path: Path, identity: Mapping[str, object], parts: tuple[str, ...]) -> None:
        own = ("search.json", "record.json", "report.html", CHECKSUMS)
        super().__init__(path, identity, (*parts, *own))

    def stored(self) -> Mapping[str, object]:
        """Return what ``search.json`` says."""
        return _read_json(self.path / "search.json")

    def open(self, *, force: bool) -> None:
        """Make the folder ready to be written, and write ``search.json``."""
        super().open(force=force)
        forget_checksums(self.path, self.CHECKED)
        write_json(self.path / "search.json", self.identity)


class RunFolder(WorkFolder):
    """The folder of a training run; its configuration, schema and data state which run it is."""

    kind: ClassVar[str] = "run"
    STATED_IN: ClassVar[tuple[str, ...]] = ("config.json", "schema.toml", "dataset.json")
    PARTS: ClassVar[tuple[str, ...]] = (
        "config.json",
        "schema.toml",
        "layout.json",
        "encoder",
        "dataset.json",
        "model.safetensors",
        "checksums.json",
        "plugins",
        "metrics.jsonl",
        "record.json",
        "predictions",
        "report.html",
        "tracking.json",
        "checkpoint",
        "explain.json",
    )

    def __init__(self, path: Path, config: RunConfig, schema: Schema, source: str) -> None:
        """Name the run.

        Args:
            path: The folder.
            config: The resolved configuration.
            schema: What the columns mean.
            source: Fingerprint of the raw rows.
        """
        identity = {"config_sha256": config.sha256(), "schema": schema.to_toml(), "source": source}
        super().__init__(path, identity, self.PARTS)

    def stored(self) -> Mapping[str, object]:
        """Return the identity that the folder's files state.

        A file that is not there yet counts as equal: the run was interrupted before it. One
        that cannot be read counts as different.
        """
        readers = {
            "config.json": ("config_sha256", _sha_of_config),
            "schema.toml": ("schema", _text_of_schema),
            "dataset.json": ("source", _source_of_dataset),
        }
        stated = {}
        for file, (name, read) in readers.items():
            if (self.path / file).is_file():
                try:
                    stated[name] = read(self.path / file)
                except (OSError, ValueError):
                    stated[name] = None
        return {**self.identity, **stated} if stated else {}


def _clean(folder: Path) -> None:
    """Clean a folder and those in it, but for searches whose workers may still write."""
    if not folder.is_dir() or folder.is_symlink() or (folder / WORKERS).is_dir():
        return
    remove_unfinished(folder)
    for path in folder.iterdir():
        _clean(path)


def _sha_of_config(path: Path) -> object:
    return RunConfig.model_validate_json(path.read_text(encoding="utf-8")).sha256()


def _text_of_schema(path: Path) -> object:
    return Schema.load(path).to_toml()


def _source_of_dataset(path: Path) -> object:
    return _read_json(path).get("source")


def _read_json(path: Path) -> dict[str, object]:
    """Return the table in a JSON file; empty where there is none or it cannot be read."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
