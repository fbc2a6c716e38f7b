"""What every search job shares: its folder, its data, its winner, and its honest comparison."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar, cast

import polars as pl

from ctrkit.config.files import load_config, to_toml
from ctrkit.config.sections import ModelConfig, RunConfig, TrainConfig
from ctrkit.data.read.sources import Source
from ctrkit.data.store.batches import Batches
from ctrkit.errors import ConfigError, RunFolderError, SchemaError
from ctrkit.evaluate import judge, score_batches
from ctrkit.files import copy, write_atomic, write_json
from ctrkit.metrics import paired_logloss_test
from ctrkit.models.build import build_model
from ctrkit.models.model import Model
from ctrkit.records import RunRecord
from ctrkit.runs.inputs import DataOptions, PathLike, job_config, open_job
from ctrkit.runs.prepare import load_dataset, resolve
from ctrkit.runs.train import RunResult, run_training
from ctrkit.schema import Schema
from ctrkit.track import tracked_at
from ctrkit.train import pick_device

logger = logging.getLogger(__name__)
FORMAT = 1
SPLITS = ("validation", "test")
_IDENTITY = {"source": "state of the data", "config": "setting", "config_sha256": "setting"}
"""What the parts of a search's identity are called."""
Config = TypeVar("Config", bound=RunConfig)


@dataclass(frozen=True)
class Search:
    """A finished search.

    Attributes:
        folder: The search folder; ``run.toml`` in it trains the winner again.
        record: What ``record.json`` holds.
        run: The winner, retrained.
    """

    folder: Path
    record: dict[str, Any]
    run: RunResult


def check_repeats(controls: str, known: Iterable[str], seeds: int) -> None:
    """Refuse controls that are not known, and fewer seeds than one.

    Raises:
        ConfigError: One line about it.
    """
    if controls not in known:
        raise ConfigError(f"controls are one of {', '.join(known)}; got {controls!r}")
    if seeds < 1:
        raise ConfigError(f"seeds is at least 1; got {seeds}")


def open_search(
    data: PathLike | None,
    options: DataOptions,
    kind: type[Config],
    *,
    model: str | None,
    seed: int | None,
    plugins: Sequence[PathLike],
    more: Mapping[str, Any],
    otherwise: str | None = None,
) -> tuple[Config, Source, Schema, list[str]]:
    """Return what a search begins with: configuration, rows, schema, and warnings.

    Args:
        data: Rows, or a file of settings (``.toml, .json``) that names them.
        options: Of the rows.
        kind: Of the configuration.
        model: A preset, or a registered interaction alone.
        seed: Of weights and batches.
        plugins: Python files that register components.
        more: Settings from arguments; None: not given.
        otherwise: The model where neither ``model`` nor a file names one.

    Raises:
        ConfigError: An option is unknown or out of bounds.
        SchemaError: No column is the label.
    """
    given = None if data is None else Path(data)
    is_file = given is not None and given.suffix in (".toml", ".json")
    config = job_config(
        None if is_file else data,
        options,
        config=given if is_file else None,
        model=model or (None if is_file else otherwise),
        seed=seed,
        plugins=plugins,
        kind=kind,
        more=more,
    )
    rows = open_job(config.data, options)
    if rows.schema.label is None:
        raise SchemaError("a search needs a label: name its column with --label")
    return cast(Config, config), rows.source, rows.schema, rows.warnings


class SearchJob:
    """A search over training runs, in a folder of its own.

    A subclass says in ``top`` which files the winner puts on top of the folder, and in ``parts``
    what else may lie there.
    """

    top: ClassVar[tuple[str, ...]] = ("run.toml", "run")
    parts: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        config: RunConfig,
        source: Source,
        schema: Schema,
        folder: Path,
        warnings: Sequence[str] = (),
        progress: Any = None,
    ) -> None:
        """Settle the configuration, ``[search]`` included."""
        plain = resolve(plain_config(config))
        self.config = config.model_copy(update={"model": plain.model, "train": plain.train})
        self.source, self.schema, self.folder = source, schema, folder
        self.warnings, self.progress = list(warnings), progress
        self.first = config.train.seed
        self.force = False
        pick_device(config.train.device)

    # ---- the folder

    def claim(self, force: bool) -> None:
        """Refuse a folder of another search or of other files.

        Raises:
            RunFolderError: It holds another search (``force`` replaces it), or files of none.
        """
        known = {*self.top, *self.parts, "search.json", "record.json", "report.html"}
        if self.folder.is_file():
            raise RunFolderError(f"the output {str(self.folder)!r} is a file; name a folder")
        self.force = force
        present = self._present()
        foreign = [name for name in present if name not in known]
        if foreign:
            raise RunFolderError(
                f"the folder {str(self.folder)!r} holds files that are no search's "
                f"({foreign[0]!r}); name another with -o"
            )
        if present and not self._same() and not force:
            raise RunFolderError(
                f"the folder {str(self.folder)!r} holds another search{self._differs()}; name "
                "another with -o, or replace it with --force"
            )

    def open_folder(self) -> None:
        """Remove another search, or by force this one; not before the data are read."""
        if self.force or not self._same():
            for name in self._present():
                place = self.folder / name
                shutil.rmtree(place) if place.is_dir() else place.unlink()
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / "search.json", self.identity())

    def _present(self) -> list[str]:
        """Return what is there, but for files that a killed process was writing."""
        found = self.folder.iterdir() if self.folder.is_dir() else ()
        return sorted(p.name for p in found if not p.name.startswith("."))

    def _same(self) -> bool:
        path = self.folder / "search.json"
        return path.is_file() and json.loads(path.read_text(encoding="utf-8")) == self.identity()

    def _differs(self) -> str:
        """Say in what the search in the folder is another one."""
        path = self.folder / "search.json"
        if not path.is_file():
            return ""
        there, ours = json.loads(path.read_text(encoding="utf-8")), self.identity()
        parts = {
            _IDENTITY.get(k, k): None for k in {**there, **ours} if there.get(k) != ours.get(k)
        }
        return f" (another {', '.join(parts)})"

    def identity(self) -> dict[str, Any]:
        """Return what makes a search the same one when it is given again."""
        return {
            "format": FORMAT,
            "config_sha256": self.config.sha256(),
            "schema": self.schema.to_toml(),
            "source": self.source.fingerprint(),
        }

    def adopt(self, winner: Path) -> None:
        """Put the winner on top; its run then says that it came from the ``run.toml`` there."""
        for name in self.top:
            copy_over(winner / name, self.folder / name)
        self.restate()

    def restate(self) -> None:
        """Make the run on top say that it came from the ``run.toml`` beside it."""
        config = resolve(load_config(self.folder / "run.toml"))
        run = self.folder / "run"
        write_atomic(run / "config.json", config.canonical_json() + "\n")
        record = RunRecord.load(run / "record.json")
        replace(record, config_sha256=config.sha256()).save(run / "record.json")

    def finished(self, record: dict[str, Any]) -> Search:
        """Return the search with the run on top."""
        run = self.folder / "run"
        result = RunResult(run, RunRecord.load(run / "record.json"), tracked_at(run))
        return Search(self.folder, record, result)

    # ---- the work

    def load(self) -> None:
        """Encode the rows, or find them in the cache: ``self.data``; then take up the folder."""
        for warning in self.warnings:
            logger.warning(warning)
        self.data = load_dataset(self.config, self.source, self.schema, self.progress)
        self.open_folder()

    def seeds_from(self, count: int) -> range:
        """Return the seeds beside the first one."""
        return range(self.first + 1, self.first + count)

    def warn(self, message: str) -> None:
        """Say something once, now and in the record."""
        if message not in self.warnings:
            logger.warning(message)
            self.warnings.append(message)

    def model(self, seed: int, config: ModelConfig | None = None, ops: Sequence[str] = ()) -> Model:
        """Build the model at its start; ``config`` and ``ops`` stand in for what is configured."""
        model = build_model(
            config or self.config.model,
            self.data.layout,
            seed=seed,
            sparse_from=self.config.train.sparse_from,
            ops=ops,
        )
        shards = self.data.shards
        model.start_at(shards.positives("train") / shards.rows("train"))
        return model

    def seeded(self, seed: int) -> TrainConfig:
        """Return ``[train]`` with a seed."""
        return self.config.train.model_copy(update={"seed": seed})

    def batches(self, train: TrainConfig) -> Batches:
        """Return the training batches."""
        return Batches(
            self.data.shards,
            "train",
            train.batch_size,
            shuffle=True,
            seed=train.seed,
            window=train.shuffle_rows,
        )

    def validation(self, train: TrainConfig) -> Callable[[Model], dict[str, float]]:
        """Return what judges a model on the validation rows."""

        def validate(model: Model) -> dict[str, float]:
            held = Batches(self.data.shards, "validation", train.micro_batch or 4096, shuffle=False)
            judged = judge(score_batches(model, held.epoch(0)), intervals=False)
            return {name: judged[name] for name in ("auc", "logloss")}

        return validate

    def train(self, folder: Path, seed: int) -> dict[str, Any]:
        """Train ``run.toml`` in a folder as ``ctrkit train`` would; return what is compared."""
        config: RunConfig = load_config(folder / "run.toml")
        rows = open_job(config.data, {})
        schema = rows.schema
        result = run_training(config, rows.source, schema, folder / "run", progress=self.progress)
        record = result.record
        return {
            "seed": seed,
            "folder": str((folder / "run").relative_to(self.folder)),
            "fields": len(schema.fields),
            "parameters": record.parameters["allocated"],
            "bytes": (folder / "run" / "model.safetensors").stat().st_size,
            "train_examples_s": record.timings["train_examples_s"],
            **{s: {k: record.metrics[s][k] for k in ("auc", "logloss")} for s in SPLITS},
        }

    # ---- the comparison

    def paired(self, ours: str, rows: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
        """Test our rows against every other's, seed by seed (log loss on the same test rows)."""
        return {
            name: [self.tested(a, b) for a, b in zip(control, rows[ours], strict=True)]
            for name, control in rows.items()
            if name != ours
        }

    def prefers(self, theirs: dict[str, Any], ours: dict[str, Any]) -> bool:
        """Say whether validation surely (95 %) prefers their row of results to ours."""
        return self.tested(theirs, ours, "validation")["low"] > 0

    def tested(
        self, theirs: dict[str, Any], ours: dict[str, Any], split: str = "test"
    ) -> dict[str, float]:
        """Return our log loss less theirs on the same rows, with its error and 95 % interval."""
        columns = ["row", "label", "logit"]
        paths = (
            self.folder / r["folder"] / "predictions" / f"{split}.parquet" for r in (theirs, ours)
        )
        a, b = (pl.read_parquet(p, columns=columns).sort("row") for p in paths)
        test = paired_logloss_test(a["label"], a["logit"], b["logit"])
        return {
            "difference": test.difference,
            "error": test.error,
            "p": test.p,
            "low": test.difference - 1.96 * test.error,
            "high": test.difference + 1.96 * test.error,
        }


@contextmanager
def quiet_training() -> Iterator[None]:
    """Leave the lines of single trainings to their folders; warnings are still told."""
    loggers = [logging.getLogger(name) for name in ("ctrkit.train", "ctrkit.runs")]
    before = [found.level for found in loggers]
    for found in loggers:
        found.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for found, level in zip(loggers, before, strict=True):
            found.setLevel(level)


def plain_config(config: RunConfig) -> RunConfig:
    """Return the training job of a search's configuration alone."""
    return RunConfig.model_validate({n: getattr(config, n) for n in RunConfig.model_fields})


def sha_of(config: RunConfig) -> str:
    """Return the identity of a run, or of a search, once it is resolved."""
    plain = resolve(plain_config(config))
    return config.model_copy(update={"model": plain.model, "train": plain.train}).sha256()


def begun(run: Path, config: RunConfig) -> bool:
    """Say whether a folder is empty, or holds this very run."""
    path = run / "config.json"
    if path.is_file():
        data = json.loads(path.read_text(encoding="utf-8"))
        return RunConfig.model_validate(data).sha256() == sha_of(config)
    return True


def copy_over(source: Path, target: Path) -> None:
    """Copy a file or folder over what is there; what is absent is left out."""
    if not source.exists() or (target.exists() and source.samefile(target)):
        return
    copy(source, target)


def job_text(config: RunConfig, pairs: Path) -> str:
    """Return a job as TOML; the operations of its pairs, if it has any, go into a file beside it.

    Args:
        config: The job.
        pairs: The ``pairs.json`` to write.
    """
    if config.model.operations is None:
        return to_toml(config)
    operations = [o.model_dump(mode="json") for o in config.model.operations]
    write_json(pairs, {"format": FORMAT, "pairs": operations})
    return to_toml(config, pairs_file=pairs.name)
