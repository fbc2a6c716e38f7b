"""``search params``: trials drawn by Optuna, side by side and resumable, and the best retrained."""

from __future__ import annotations

import json
import logging
import os
import statistics
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Unpack

import torch
from filelock import FileLock

from ctrkit.bundle import load
from ctrkit.config.sections import RunConfig
from ctrkit.data.read.sources import Source
from ctrkit.data.store.cache import cache_key, home
from ctrkit.errors import ConfigError, CtrkitError
from ctrkit.files import remove, write_atomic, write_json
from ctrkit.records import RunRecord, Tracker
from ctrkit.runs.inputs import DataOptions, PathLike
from ctrkit.runs.train import load_dataset, run_training
from ctrkit.schema import Schema
from ctrkit.search.base import (
    FORMAT,
    Search,
    SearchJob,
    begun,
    check_repeats,
    job_text,
    open_search,
    quiet_training,
    sha_of,
)
from ctrkit.search.features.config import FeaturesConfig
from ctrkit.search.features.job import search_features
from ctrkit.search.interactions.job import search_interactions
from ctrkit.search.params.build import make_space
from ctrkit.search.params.conclude import DECISIONS, Conclusion
from ctrkit.search.params.config import ParamsConfig
from ctrkit.search.params.history import Clock, History
from ctrkit.search.params.pareto import front
from ctrkit.search.params.samplers import Pruning, prunes
from ctrkit.search.params.storage import hide_password, same_database
from ctrkit.search.params.study import WORKERS, Claim, Trials, slot_of
from ctrkit.search.params.workers import POLL_S, Workers
from ctrkit.track import make_search_tracker, tracked_below, tracking_uri
from ctrkit.train import Callback, Pruned

logger = logging.getLogger(__name__)
CONTROLS = ("default", "none")
ELASTIC = (
    "trials",
    "timeout",
    "jobs",
    "threads",
    "storage",
    "retries",
    "heartbeat",
    "grace",
    "keep",
)
"""Of ``[search]``: may differ when a search is gone on with, or joined."""
HEAVY = (
    "searches",
    "encoder",
    "model.safetensors",
    "predictions",
    "layout.json",
    "checkpoint",
    "plugins",
    "init.safetensors",
    "candidates",
    "features.parquet",
)
"""What a trial that is not among the best need not keep."""
HOPELESS = 5
"""As many trials that all failed end a search."""
LATENCY_ROWS, LATENCY_TIMES = 256, 20


def search_params(
    data: PathLike | None = None,
    *,
    model: str | None = None,
    out: PathLike = "search",
    trials: int | None = None,
    timeout: float | None = None,
    objectives: Sequence[str] = (),
    sampler: str | None = None,
    pruner: str | None = None,
    over: str | None = None,
    interactions: Sequence[str] = (),
    jobs: int | None = None,
    storage: str | None = None,
    seed: int | None = None,
    seeds: int = 1,
    controls: str = "default",
    force: bool = False,
    plugins: Sequence[PathLike] = (),
    progress: Any = None,
    **options: Unpack[DataOptions],
) -> Search:
    """Search for settings: of the model, of its training, or of another search.

    The first trial takes the settings before the search, as near as the space has them. The same
    call goes on where it was cut; given twice at once, or on several machines with one
    ``storage``, the processes share the trials.

    Args:
        data: As of :func:`ctrkit.jobs.train`; or a ``search.toml`` with a ``[search]`` section.
        model: A preset, or a registered interaction alone.
        out: The search folder.
        trials: ``search.trials``: how many in all.
        timeout: ``search.timeout``: seconds, over all resumes, after which no trial begins.
        objectives: ``logloss``, ``auc``, ``bytes``, ``latency``; several give a Pareto set.
        sampler: ``tpe``, ``random``, ``gp``, ``nsgaii`` or ``qmc``.
        pruner: ``auto``, ``median``, ``hyperband``, ``halving`` or ``none``.
        over: ``params``; ``features`` or ``interactions``: the knobs of that search.
        interactions: A pool of interaction layers, each in or out.
        jobs: Worker processes.
        storage: Optuna's database; without one, a journal file in ``out``.
        seed: Of weights, batches and the sampler.
        seeds: How often the winner and the control are trained.
        controls: ``default``: the model with the settings that it had before the search; ``none``.
        force: Replace the search in ``out``.
        plugins: Python files that register components.
        progress: Object with ``update(stage, done, total, text)``.
        **options: See :class:`~ctrkit.runs.inputs.DataOptions`.

    Raises:
        ConfigError: An option or a dimension of the space is unknown or out of bounds.
        RunFolderError: ``out`` holds another search, or files of none.
    """
    check_repeats(controls, CONTROLS, seeds)
    flags = {
        "trials": trials,
        "timeout": timeout,
        "sampler": sampler,
        "pruner": pruner,
        "over": over,
        "jobs": jobs,
        "storage": storage,
        "objectives": list(objectives) or None,
        "interactions": list(interactions) or None,
    }
    config, source, schema, warnings = open_search(
        data,
        options,
        ParamsConfig,
        model=model,
        seed=seed,
        plugins=plugins,
        more={f"search.{k}": v for k, v in flags.items()},
    )
    job = ParamsJob(config, source, schema, Path(out), warnings, progress)
    job.claim(force)
    return job.run(seeds, controls)


class ParamsJob(SearchJob):
    """A study of trials in a folder; workers build it from the folder alone."""

    config: ParamsConfig
    parts: ClassVar = (
        "config.json",
        "schema.toml",
        "trials",
        "seeds",
        "controls",
        "pareto",
        "trials.parquet",
        "metrics.jsonl",
        "tracking.json",
        "clock.json",
        WORKERS,
        *DECISIONS,
    )

    def __init__(
        self,
        config: ParamsConfig,
        source: Source,
        schema: Schema,
        folder: Path,
        warnings: Sequence[str] = (),
        progress: Any = None,
    ) -> None:
        """Settle the space and the storage."""
        self.given = _absolute(config)
        self.space = make_space(self.given)
        super().__init__(self.given, source, schema, folder.absolute(), warnings, progress)
        self.search = config.search
        if self.search.jobs > 1 and "latency" in self.search.objectives:
            self.warnings.append("latency is measured while other workers train: --jobs 1 is exact")
        self.url = config.search.storage or os.environ.get("CTRKIT_SEARCH_STORAGE")
        tracked = tracking_uri(config.track)
        if self.url and tracked and same_database(self.url, tracked):
            raise ConfigError(
                f"search.storage and the tracking store are one database "
                f"({hide_password(self.url)}): Optuna and MLflow need one each"
            )

    # ---- the folder

    def identity(self) -> dict[str, Any]:
        """Return what makes a search the same one; how long and how widely it runs does not."""
        data = self.config.model_dump(mode="json", by_alias=True, exclude={"track"})
        data["search"] = {k: v for k, v in data["search"].items() if k not in ELASTIC}
        return {
            "format": FORMAT,
            "kind": "params",
            "config": data,
            "schema": self.schema.to_toml(),
            "source": self.source.fingerprint(),
        }

    def claim(self, force: bool) -> None:
        """Refuse a folder of another search or of other files, one process at a time."""
        with self._door():
            super().claim(force)

    def open_folder(self) -> None:
        """Take up the folder, and leave in it what a worker needs."""
        with self._door():
            super().open_folder()
            data = self.given.model_dump(mode="json", by_alias=True, exclude_unset=True)
            data.setdefault("search", {}).pop("storage", None)  # it may hold a password
            write_json(self.folder / "config.json", data)
            self.schema.save(self.folder / "schema.toml")

    def join(self) -> None:
        """Load the rows as a worker: the folder is another process's."""
        self.data = load_dataset(self.config, self.source, self.schema, self.progress)

    def _door(self) -> FileLock:
        """Return a lock for what one process at a time does; it leaves no trace in the folder."""
        place = home() / "locks"
        place.mkdir(parents=True, exist_ok=True)
        return FileLock(str(place / f"{_digest({'folder': str(self.folder)})}.lock"))

    def study_name(self) -> str:
        """Return the study's name: the same wherever the same search is given.

        What differs between machines is left out: folders, times of files, resolved defaults.
        """
        data = self.given.model_dump(
            mode="json", by_alias=True, exclude_unset=True, exclude={"track", "plugins"}
        )
        for section, names in (("data", ("path", "schema", "encoder")), ("search", ELASTIC)):
            data[section] = {k: v for k, v in data.get(section, {}).items() if k not in names}
        if "init" in data.get("train", {}):
            data["train"]["init"] = Path(str(data["train"]["init"])).name
        facts = {
            "format": FORMAT,
            "config": data,
            "rows": self.source.likeness(),
            "schema": self.schema.to_toml(),
        }
        return f"ctrkit-{_digest(facts)}"

    def trials(self) -> Trials:
        """Open the study."""
        name = self.search.study or self.study_name()
        return Trials(self.search, self.folder, name, self.first, self.url, self.space.start())

    def threads(self) -> int:
        """Return the CPU threads of one worker."""
        return self.search.threads or max(1, (os.cpu_count() or 1) // self.search.jobs)

    # ---- the search

    def run(self, seeds: int, controls: str) -> Search:
        """Search, retrain the winner, compare, report."""
        self.load()
        trials = self.trials()
        self._say_what_is_there(trials)
        tracker = self._tracker()
        clock = Clock(self.folder / "clock.json", self.search.timeout)
        history = History(self.folder, self.search.objectives, tracker, self.progress)
        try:
            if self.search.jobs > 1:
                Workers(self, trials, clock, history).run()
            else:
                torch.set_num_threads(self.search.threads or torch.get_num_threads())
                with quiet_training():
                    self.work(trials, clock, history)
            history.take(trials)
            if clock.over() and not trials.done():
                logger.info(
                    "time is up after %.0f s: %d of %d trials have ended",
                    clock.seconds(),
                    len(trials.finished()),
                    self.search.trials,
                )
            with FileLock(str(self.folder / WORKERS / "finish.lock")), quiet_training():
                record = Conclusion(self, trials).write(clock.seconds(), seeds, controls)
        except KeyboardInterrupt:
            tracker.finish("KILLED")
            raise
        except BaseException:
            tracker.finish("FAILED")
            raise
        finally:
            trials.close()
        tracker.finish("FINISHED")
        return self.finished(record)

    def _say_what_is_there(self, trials: Trials) -> None:
        """Say which study it is, and what of it is done."""
        ended = len(trials.finished())
        if self.url is not None:
            logger.info("study %s in %s", trials.name, hide_password(self.url))
        if ended and self.force:
            self.warn(
                f"--force leaves a database alone: {ended} trials of the study count; "
                "--set search.study=NAME begins another"
            )
        elif ended and not (self.folder / "record.json").is_file():
            logger.info("going on: %d of %d trials have ended", ended, self.search.trials)

    def _tracker(self) -> Tracker:
        tracker = make_search_tracker(self.config.track, name=self.folder.name)
        data = self.config.model_dump(mode="json", by_alias=True)
        data["search"]["storage"] = hide_password(self.url or "journal")
        with self._door():  # the second process joins the first one's run
            tracker.start(
                self.folder,
                data,
                {"ctrkit.search_folder": str(self.folder), "ctrkit.kind": "params"},
            )
        return tracker

    def work(self, trials: Trials, clock: Clock, history: History | None = None) -> None:
        """Run trials until none is left, or time is up; wait for those of others."""
        while not trials.done():
            claim = None if clock.over() else trials.claim()
            if claim is not None:
                self._trial(trials, claim)
                self._stop_if_hopeless(trials)
            elif clock.over():
                return
            else:
                time.sleep(POLL_S)
            clock.tick()
            if history is not None:
                history.take(trials)

    def _stop_if_hopeless(self, trials: Trials) -> None:
        ended = trials.finished().values()
        if len(ended) >= HOPELESS and all(t.state.name == "FAIL" for t in ended):
            reason = next(iter(ended)).user_attrs.get("failure", "their workers died")
            raise CtrkitError(f"the first {len(ended)} trials all failed: {reason}")

    def _trial(self, trials: Trials, claim: Claim) -> None:
        with trials.alive(claim):
            logger.info("trial %d begins", claim.slot)
            try:
                values = self._outcome(trials, claim)
            except Pruned as stop:
                self._note(claim, {"state": "PRUNED", "said": str(stop)})
                trials.prune(claim)
            except KeyboardInterrupt:
                trials.interrupt(claim)
                raise
            except OSError:  # such as a full disk: not of this point, and worth another attempt
                raise
            except Exception as error:
                reason = _reason(error)
                logger.warning("trial %d failed: %s", claim.slot, reason)
                self._note(
                    claim, {"state": "FAIL", "said": reason, "traceback": traceback.format_exc()}
                )
                trials.fail(claim, reason)
            else:
                trials.complete(claim, values)
        self._thin(trials)

    def place(self, slot: int) -> Path:
        """Return the folder of a trial."""
        return self.folder / "trials" / f"{slot:04d}"

    def _note(self, claim: Claim, facts: Mapping[str, Any]) -> None:
        """Write down how a trial ended, before Optuna hears of it."""
        path = self.place(claim.slot).with_suffix(".json")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"slot": claim.slot, "number": claim.trial.number, **facts})

    def _outcome(self, trials: Trials, claim: Claim) -> list[float]:
        """Draw, train and judge; what an earlier attempt finished is not done again."""
        started = time.perf_counter()
        config = self.trial_config(trials.draw(claim, self.space), claim.slot)
        identity = sha_of(config)
        claim.trial.set_user_attr("config_sha256", identity)
        note = self.place(claim.slot).with_suffix(".json")
        if note.is_file():
            known = json.loads(note.read_text(encoding="utf-8"))
            if known.get("config_sha256") == identity:
                return self._known(claim, known)
        calls = [Pruning(claim.trial, self.search.objectives[0])] if prunes(self.search) else []
        with tracked_below(self.folder, trial=claim.slot, optuna_trial=claim.trial.number):
            run = self.make(config, self.place(claim.slot), calls)
        values = [self._judge(run, name) for name in self.search.objectives]
        record = RunRecord.load(run / "record.json")
        self._note(
            claim,
            known := {
                "state": "COMPLETE",
                "values": values,
                "config_sha256": identity,
                "seconds": time.perf_counter() - started,
                "epochs": record.training["epochs"],
                "parameters": record.parameters["allocated"],
                "validation": {k: record.metrics["validation"][k] for k in ("logloss", "auc")},
            },
        )
        return self._known(claim, known)

    def _known(self, claim: Claim, note: Mapping[str, Any]) -> list[float]:
        for name in ("seconds", "epochs", "parameters", "validation"):
            claim.trial.set_user_attr(name, note[name])
        return [float(v) for v in note["values"]]

    def _judge(self, run: Path, objective: str) -> float:
        if objective == "bytes":
            return float((run / "model.safetensors").stat().st_size)
        if objective == "latency":
            return latency(run, self.source, self.schema)
        value = float(RunRecord.load(run / "record.json").metrics["validation"][objective])
        if value != value:
            raise CtrkitError(f"the {objective} on validation is not a number")
        return value

    def trial_config(self, values: Mapping[str, Any], slot: int | None) -> RunConfig:
        """Return the job of a trial; None: of none, the settings before the search."""
        config = self.space.apply(values)
        data = config.data.model_copy(update={"schema_path": str(self.folder / "schema.toml")})
        config = config.model_copy(update={"data": data})
        if slot is None or type(config) is not RunConfig:
            return config
        name = config.track.run_name or self.folder.name
        track = config.track.model_copy(update={"run_name": f"{name}-{slot}"})
        return config.model_copy(update={"track": track})

    def make(self, config: RunConfig, place: Path, callbacks: Sequence[Callback] = ()) -> Path:
        """Train, or search, in a folder; return the run folder."""
        if type(config) is not RunConfig:
            place.parent.mkdir(parents=True, exist_ok=True)
            file = place.with_suffix(".toml")
            text = job_text(config, place.with_name(f"{place.name}-pairs.json"))
            same = file.is_file() and file.read_text(encoding="utf-8") == text
            write_atomic(file, text)
            features = isinstance(config, FeaturesConfig)
            inner = search_features if features else search_interactions
            inner(file, out=place, controls="none", force=not same, progress=self.progress)
            return place / "run"
        run_training(
            config,
            self.source,
            self.schema,
            place,
            progress=self.progress,
            force=not begun(place, config),
            callbacks=callbacks,
        )
        return place

    def _thin(self, trials: Trials) -> None:
        """Remove what only the best trials need."""
        if self.search.keep == "all":
            return
        with trials.turn:
            ended = trials.finished()
            best = {slot_of(t) for t in front(list(ended.values()), self.search.objectives)}
            for slot in ended:
                place = self.place(slot)
                if slot not in best and place.is_dir():
                    for part in (
                        p
                        for base in (place, place / "run")
                        for p in (base / name for name in HEAVY)
                    ):
                        if part.exists():
                            remove(part)


def _reason(error: Exception) -> str:
    """Return an error as one line; ours need no name."""
    first = (str(error).splitlines() or [""])[0]
    if isinstance(error, CtrkitError):
        return first
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def latency(run: Path, source: Source, schema: Schema) -> float:
    """Return the median milliseconds in which a run scores 256 raw rows."""
    predictor = load(run, trust_plugins=True)
    names = [n for n in schema.names if n in source.columns]
    frame = next(iter(source.chunks(names, LATENCY_ROWS))).frame.head(LATENCY_ROWS)
    times = []
    for _ in range(LATENCY_TIMES + 2):
        started = time.perf_counter()
        predictor.predict(frame)
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times[2:])


def _absolute(config: ParamsConfig) -> ParamsConfig:
    """Return the configuration with paths that mean the same from anywhere."""

    def whole(path: str | None) -> str | None:
        if path is None or "://" in path or path == "random":
            return path
        return str(Path(path).absolute())

    data, train = config.data, config.train
    names = ("path", "schema_path", "encoder")
    update: dict[str, Any] = {
        n: whole(getattr(data, n)) for n in names if n in data.model_fields_set
    }
    if "init" in train.model_fields_set:
        train = train.model_copy(update={"init": whole(train.init)})
    changed: dict[str, Any] = {"data": data.model_copy(update=update)}
    if "train" in config.model_fields_set:
        changed["train"] = train
    if config.plugins:
        changed["plugins"] = tuple(str(whole(p)) for p in config.plugins)
    return config.model_copy(update=changed)


def _digest(data: Mapping[str, Any]) -> str:
    return cache_key(data)[:16]
