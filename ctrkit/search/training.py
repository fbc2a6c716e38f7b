"""A training job as searches pass it on: a configuration and a schema, and their ``run.toml``."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from ctrkit.config.files import load_config, make_config, to_toml
from ctrkit.config.sections import WHOLE, RunConfig, Section
from ctrkit.errors import ConfigError
from ctrkit.files import inside, write_atomic, write_json
from ctrkit.runs.prepare import resolve
from ctrkit.schema import Schema
from ctrkit.secrets import redact_address

ConfigT = TypeVar("ConfigT", bound=RunConfig)
PAIRS = "pairs.json"
PAIRS_FORMAT = 1


@dataclass(frozen=True)
class TrainingJob:
    """All that trains a model, except the rows.

    Attributes:
        config: The configuration of one run. Its paths are absolute.
        schema: What the columns mean; ``config.data.schema_path`` is its file.
    """

    config: RunConfig
    schema: Schema

    @classmethod
    def load(cls, path: Path, given: RunConfig, root: Path) -> TrainingJob:
        """Read a ``run.toml`` that :meth:`save` wrote, and the schema that it names.

        Args:
            path: The file.
            given: The search's configuration, which has the addresses and their passwords.
            root: The search's folder: the file names nothing outside of it that ``given`` does
                not name.

        Raises:
            RunFolderError: It does.
        """
        rows, store = given.data.path, given.track.uri
        hidden = rows is not None and redact_address(rows) != rows
        flags = {"data.path": rows if hidden else None, "track.uri": store}
        written: RunConfig = load_config(path, flags=flags)
        config = with_paths(written, os.path.normpath)  # as it was saved
        if config.data.schema_path is None:
            raise ConfigError(f"{str(path)!r} must name a schema: set data.schema")
        named: set[str] = set()

        def note(text: str) -> str:
            named.add(os.path.abspath(text))
            return text

        def check(text: str) -> str:
            return text if os.path.abspath(text) in named else str(inside(root, text, path))

        with_paths(given, note)
        with_paths(config, check)
        return cls(config, Schema.load(Path(config.data.schema_path)))

    def save(self, path: Path, *, root: Path | None = None, pairs: str = PAIRS) -> None:
        """Write the job as TOML; its schema and the operations of its pairs go to files next to it.

        Args:
            path: The file to write, such as ``run.toml``.
            root: Folder that may be moved as a whole: the file names what lies below it relative
                to itself, anything else by its absolute path. None: the folder of ``path``.
            pairs: File of operations, relative to that of ``path``; written if the model has any.
        """
        assert self.config.data.schema_path is not None
        self.schema.save(Path(self.config.data.schema_path))
        save_config(self.config, path, root=root, pairs=path.parent / pairs)

    def moved(self, old: Path, new: Path) -> TrainingJob:
        """Return the job with the paths below one folder moved to another."""

        def rename(text: str) -> str:
            path = Path(text)
            if not _below(path, old):
                return text
            return str(new.absolute() / path.relative_to(old.absolute()))

        return replace(self, config=with_paths(self.config, rename))

    def narrowed(self, schema: Schema, file: Path) -> TrainingJob:
        """Return the job over some of its fields.

        Args:
            schema: The fields that are left.
            file: The file of the schema.
        """
        config, names = self.config, {*schema.names, *(cross.name for cross in schema.crosses)}
        update: dict[str, Section] = {
            "data": config.data.model_copy(update={"schema_path": str(file.absolute())})
        }
        if config.model.operations is not None:
            kept = tuple(o for o in config.model.operations if names.issuperset(o.fields))
            update["model"] = config.model.model_copy(update={"operations": kept})
        return TrainingJob(config.model_copy(update=update), schema)

    def seeded(self, seed: int) -> TrainingJob:
        """Return the job with another seed."""
        return replace(self, config=seeded(self.config, seed))


def save_config(config: RunConfig, path: Path, *, root: Path | None = None, pairs: Path) -> None:
    """Write a configuration as TOML; the operations of its pairs go to a separate file.

    Args:
        config: The configuration; its paths are absolute.
        path: The file to write.
        root: See :meth:`TrainingJob.save`.
        pairs: Where the operations go, if ``model.operations`` is set.
    """
    base = path.absolute().parent
    top = base if root is None else root.absolute()

    def relative(text: str) -> str:
        return os.path.relpath(text, base) if _below(Path(text), top) else text

    named = with_paths(config, relative)
    operations = config.model.operations
    if operations is None:
        write_atomic(path, to_toml(named))
        return
    entries = [operation.model_dump(mode="json") for operation in operations]
    write_json(pairs, {"format": PAIRS_FORMAT, "pairs": entries})
    write_atomic(path, to_toml(named, pairs_file=os.path.relpath(pairs.absolute(), base)))


def _below(path: Path, folder: Path) -> bool:
    return path.is_absolute() and path.is_relative_to(folder.absolute())


def with_paths(config: ConfigT, rename: Callable[[str], str]) -> ConfigT:
    """Return a configuration with other paths of its schema, encoder and initial weights."""
    data, train = config.data, config.train
    paths = {
        name: rename(path)
        for name, path in (("schema_path", data.schema_path), ("encoder", data.encoder))
        if path is not None
    }
    update: dict[str, Section] = {"data": data.model_copy(update=paths)}
    if train.init not in (None, "random"):
        update["train"] = train.model_copy(update={"init": rename(str(train.init))})
    return config.model_copy(update=update)


def seeded(config: ConfigT, seed: int) -> ConfigT:
    """Return a configuration with another seed."""
    train = config.train.model_copy(update={"seed": seed})
    return config.model_copy(update={"train": train})


def with_init(job: TrainingJob, init: str) -> TrainingJob:
    """Return a job with other initial weights."""
    train = job.config.train.model_copy(update={"init": init})
    return replace(job, config=job.config.model_copy(update={"train": train}))


def plain_config(config: RunConfig) -> RunConfig:
    """Return the training job of a search's configuration, without the search."""
    return RunConfig.model_validate({n: getattr(config, n) for n in RunConfig.model_fields})


def search_config(kind: type[ConfigT], config: RunConfig, search: Section) -> ConfigT:
    """Return the configuration of a search over a training job.

    Args:
        kind: The search's type of configuration.
        config: The training job.
        search: ``[search]``; what it does not set explicitly is left to ``kind``, whose presets
            fill it.

    Raises:
        ConfigError: The two do not fit.
    """
    data = config.model_dump(
        mode="json", by_alias=True, exclude_defaults=True, exclude_none=True, context=WHOLE
    )
    section = search.model_dump(mode="json", exclude_unset=True, exclude_none=True, context=WHOLE)
    return make_config({**data, "search": section}, kind)


def resolved(config: ConfigT) -> ConfigT:
    """Return a configuration whose model and training have no open choices."""
    plain = resolve(plain_config(config))
    return config.model_copy(update={"model": plain.model, "train": plain.train})
