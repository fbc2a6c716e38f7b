"""``search params``: trials drawn by Optuna, side by side and resumable, and the best retrained."""

from __future__ import annotations

import json
import logging
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Unpack, cast

import polars as pl
import torch
from filelock import FileLock

from ctrkit.bundle import load
from ctrkit.config import FeaturesConfig, ParamsConfig, RunConfig, load_config
from ctrkit.data.cache import cache_key, home
from ctrkit.data.sources import Source
from ctrkit.errors import ConfigError, CtrkitError, SchemaError
from ctrkit.jobs.inputs import DataOptions, PathLike, job_config, open_job
from ctrkit.jobs.interactions import search_interactions
from ctrkit.jobs.searching import (
    FORMAT,
    SPLITS,
    Search,
    SearchJob,
    check_repeats,
    copy_over,
    job_text,
    plain_config,
    write_json,
)
from ctrkit.jobs.selecting import search_features
from ctrkit.jobs.training import load_dataset, resolve, run_training
from ctrkit.records import RunRecord, Tracker, split_line
from ctrkit.report import summarise_params_search, write_report
from ctrkit.schema import Schema
from ctrkit.search.space import make_space
from ctrkit.search.study import (
    WORKERS,
    Claim,
    Pruning,
    Trials,
    best_of,
    front,
    hide_password,
    importances,
    prunes,
    same_database,
    slot_of,
)
from ctrkit.track import make_search_tracker, tracked_below, tracking_uri
from ctrkit.train import Callback, Pruned

if TYPE_CHECKING:
    from ctrkit.search.study import FrozenTrial

logger = logging.getLogger(__name__)

CONTROLS = ("default", "none")
ELASTIC = ("trials", "timeout", "jobs", "threads", "storage", "retries", "heartbeat", "grace",
           "keep")  # fmt: skip
"""Of ``[search]``: may differ when a search is gone on with, or joined."""
HEAVY = ("searches", "encoder",
         "model.safetensors", "predictions", "layout.json", "checkpoint", "plugins",
         "init.safetensors", "candidates", "features.parquet")  # fmt: skip
"""What a trial that is not among the best need not keep."""
DECISIONS = ("run.toml", "schema.toml", "encoder", "init.safetensors", "features.parquet",
             "pairs.json", "run")  # fmt: skip
"""Of another search's folder: what the winner puts on top."""
HOPELESS = 5
"""As many trials that all failed end a search."""
POLL_S = 0.5
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

    The same call goes on where it was cut; given twice at once, or on several machines with one
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
        **options: See :class:`~ctrkit.jobs.inputs.DataOptions`.

    Raises:
        ConfigError: An option or a dimension of the space is unknown or out of bounds.
        RunFolderError: ``out`` holds another search, or files of none.
    """
    check_repeats(controls, CONTROLS, seeds)
    given = None if data is None else Path(data)
    is_config = given is not None and given.suffix in (".toml", ".json")
    flags = {"trials": trials, "timeout": timeout, "sampler": sampler, "pruner": pruner,
             "over": over, "jobs": jobs, "storage": storage,
             "objectives": list(objectives) or None,
             "interactions": list(interactions) or None}  # fmt: skip
    config = cast(ParamsConfig, job_config(
        None if is_config else data, options, config=given if is_config else None, model=model,
        seed=seed, plugins=plugins, kind=ParamsConfig,
        more={f"search.{k}": v for k, v in flags.items()},
    ))  # fmt: skip
    source, schema, warnings = open_job(config.data, options)
    if schema.label is None:
        raise SchemaError("a search needs a label: name its column with --label")
    job = ParamsJob(config, source, schema, Path(out), warnings, progress)
    job.claim(force)
    return job.run(seeds, controls)


class ParamsJob(SearchJob):
    """A study of trials in a folder; workers build it from the folder alone."""

    config: ParamsConfig
    parts: ClassVar = ("config.json", "schema.toml", "trials", "seeds", "controls", "pareto",
                       "trials.parquet", "metrics.jsonl", "tracking.json", "clock.json", WORKERS,
                       *DECISIONS)  # fmt: skip

    def __init__(
        self, config: ParamsConfig, source: Source, schema: Schema, folder: Path,
        warnings: Sequence[str] = (), progress: Any = None,
    ) -> None:  # fmt: skip
        """Settle the space and the storage."""
        self.given = _absolute(config)
        self.space = make_space(self.given)
        super().__init__(self.given, source, schema, folder.absolute(), warnings, progress)
        self.search = config.search
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
        return {"format": FORMAT, "kind": "params", "config": data,
                "schema": self.schema.to_toml(), "source": self.source.fingerprint()}  # fmt: skip

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

    def trials(self) -> Trials:
        """Open the study."""
        name = self.search.study or "ctrkit-" + _digest(self.identity())
        return Trials(self.search, self.folder, name, self.first, self.url, self.space.start())

    def threads(self) -> int:
        """Return the CPU threads of one worker."""
        return self.search.threads or max(1, (os.cpu_count() or 1) // self.search.jobs)

    # ---- the search

    def run(self, seeds: int, controls: str) -> Search:
        """Search, retrain the winner, compare, report."""
        self.load()
        trials = self.trials()
        tracker = self._tracker()
        clock = Clock(self.folder / "clock.json", self.search.timeout)
        history = History(self.folder, self.search.objectives, tracker, self.progress)
        try:
            if self.search.jobs > 1:
                Workers(self, trials, clock, history).run()
            else:
                torch.set_num_threads(self.search.threads or torch.get_num_threads())
                self.work(trials, clock, history)
            history.take(trials)
            with FileLock(str(self.folder / WORKERS / "finish.lock")):
                record = self._finish(trials, clock, seeds, controls)
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

    def _tracker(self) -> Tracker:
        tracker = make_search_tracker(self.config.track, name=self.folder.name)
        data = self.config.model_dump(mode="json", by_alias=True)
        data["search"]["storage"] = hide_password(self.url or "journal")
        with self._door():  # the second process joins the first one's run
            tracker.start(self.folder, data, {"ctrkit.search_folder": str(self.folder),
                                              "ctrkit.kind": "params"})  # fmt: skip
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
            except (CtrkitError, RuntimeError, MemoryError) as error:
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                logger.warning("trial %d failed: %s", claim.slot, reason)
                self._note(claim, {"state": "FAIL", "said": reason})
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
        identity = _sha(config)
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
        self._note(claim, known := {
            "state": "COMPLETE", "values": values, "config_sha256": identity,
            "seconds": time.perf_counter() - started, "epochs": record.training["epochs"],
            "parameters": record.parameters["allocated"],
            "validation": {k: record.metrics["validation"][k] for k in ("logloss", "auc")},
        })  # fmt: skip
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
            file.write_text(text, encoding="utf-8")
            features = isinstance(config, FeaturesConfig)
            inner = search_features if features else search_interactions
            inner(file, out=place, controls="none", force=not same, progress=self.progress)
            return place / "run"
        run_training(config, self.source, self.schema, place, progress=self.progress,
                     force=not _begun(place, config), callbacks=callbacks)  # fmt: skip
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
                    for part in (p for base in (place, place / "run") for p in
                                 (base / name for name in HEAVY)):  # fmt: skip
                        if part.exists():
                            _remove(part)

    # ---- the end

    def _winner_config(self) -> RunConfig:
        return load_config(self.folder / "run.toml")

    def _finish(self, trials: Trials, clock: Clock, seeds: int, controls: str) -> dict[str, Any]:
        ended = trials.finished()
        best = best_of(list(ended.values()), self.search.objectives)
        frame = trials_frame(trials, self.search.objectives)
        frame.write_parquet(self.folder / "trials.parquet")
        if best is None:
            raise CtrkitError(
                f"no trial was completed ({len(ended)} ended): give search.timeout more seconds, "
                "or see the failures in trials.parquet"
            )
        winner = slot_of(best)
        config = self.trial_config(self._point(best), winner)
        self._top(config, winner)
        rows = self._rows(config, seeds, controls)
        members = front(list(ended.values()), self.search.objectives)
        if len(self.search.objectives) > 1:
            self._pareto(members)
        record = self._record(trials, clock, best, members, rows)
        write_json(self.folder / "record.json", record)
        write_report(summarise_params_search(record, frame), self.folder / "report.html")
        return record

    def _point(self, trial: FrozenTrial) -> dict[str, Any]:
        """Return what a trial drew, as the configuration's values."""

        def drawn(one: Any) -> Any:
            value = trial.params[one.key]
            return one.value_of(value) if one.kind == "choice" else value

        return self.space.draw(drawn)

    def _top(self, config: RunConfig, slot: int) -> None:
        """Put the winner on top of the folder: the file that trains it, and its run."""
        place, run = self.place(slot), self.folder / "run"
        if type(config) is not RunConfig:
            if not (place / "run" / "model.safetensors").is_file():
                self.make(config, place)
            for name in DECISIONS:
                copy_over(place / name, self.folder / name)
        else:
            self._write_run(config, self.folder / "run.toml", "schema.toml")
            if not (run / "record.json").is_file() or not _begun(run, self._winner_config()):
                _remove(run)
                if (place / "model.safetensors").is_file():
                    copy_over(place, run)
        if (run / "record.json").is_file():
            self.restate()
        else:
            source, schema, _ = open_job(self._winner_config().data, {})
            run_training(self._winner_config(), source, schema, run, progress=self.progress)

    def _write_run(self, config: RunConfig, path: Path, schema: str) -> None:
        data = config.data.model_copy(update={"schema_path": schema})
        track = config.track.model_copy(update={"run_name": self.given.track.run_name})
        pairs = self.folder / "pairs.json"  # of an earlier search over pairs
        text = job_text(config.model_copy(update={"data": data, "track": track}), pairs)
        if path.parent != self.folder:
            text = text.replace('"pairs.json"', '"../pairs.json"')
        path.write_text(text, encoding="utf-8")

    def _rows(
        self, config: RunConfig, seeds: int, controls: str
    ) -> dict[str, list[dict[str, Any]]]:
        """Train the winner with more seeds, and what was there before the search with all."""
        ours = {self.first: self._row(self.folder / "run", self.first)}
        ours |= self._again(config, "seeds", list(self.seeds_from(seeds)))
        if controls == "none":
            return {"the search": list(ours.values())}
        before = self._again(self.trial_config({}, None), "controls", list(ours))
        both = [seed for seed in ours if seed in before]
        rows = {"the search": [ours[s] for s in both], "before": [before[s] for s in both]}
        return rows if both else {"the search": list(ours.values())}

    def _again(
        self, config: RunConfig, name: str, seeds: Sequence[int]
    ) -> dict[int, dict[str, Any]]:
        """Train a configuration with seeds; one that cannot be trained is told and left out."""
        found = {}
        for seed in seeds:
            train = config.train.model_copy(update={"seed": seed})
            place = self.folder / name / str(seed)
            try:
                with tracked_below(self.folder, role=name):
                    run = self.make(config.model_copy(update={"train": train}), place)
            except CtrkitError as error:
                self.warn(f"{name}, seed {seed}: {error}")
            else:
                found[seed] = self._row(run, seed)
        return found

    def _row(self, run: Path, seed: int) -> dict[str, Any]:
        record = RunRecord.load(run / "record.json")
        return {
            "seed": seed, "folder": str(run.relative_to(self.folder)),
            "parameters": record.parameters["allocated"],
            "bytes": (run / "model.safetensors").stat().st_size,
            "seconds": record.timings["total_s"],
            **{s: {k: record.metrics[s][k] for k in ("auc", "logloss")} for s in SPLITS},
        }  # fmt: skip

    def _pareto(self, members: list[FrozenTrial]) -> None:
        """Write a file for each member of the Pareto set that trains it again."""
        if self.search.over != "params":
            return
        _remove(self.folder / "pareto")
        (self.folder / "pareto").mkdir()
        for trial in members:
            config = self.trial_config(self._point(trial), slot_of(trial))
            self._write_run(config, self.folder / "pareto" / f"{slot_of(trial):04d}.toml",
                            "../schema.toml")  # fmt: skip

    def _record(
        self, trials: Trials, clock: Clock, best: FrozenTrial, members: list[FrozenTrial],
        rows: dict[str, list[dict[str, Any]]],
    ) -> dict[str, Any]:  # fmt: skip
        search = self.search.model_dump(mode="json")
        search["storage"] = hide_password(self.url or "journal")
        ended = trials.finished().values()
        states = [t.state.name for t in ended]
        counts = {s.lower(): states.count(s) for s in ("COMPLETE", "PRUNED", "FAIL")}
        counts["retries"] = sum("retry_of" in t.user_attrs for t in trials.trials())
        mattered = {
            name: {k: list(v) for k, v in importances(trials.study, i).items()}
            for i, name in enumerate(self.search.objectives)
        }  # fmt: skip
        return {
            "format": FORMAT, "kind": "params", "model": self.given.model.name,
            "config_sha256": self.config.sha256(), "search": search,
            "winner": self._member(best), "front": [self._member(t) for t in members],
            "counts": counts, "seconds": clock.seconds(), "importances": mattered,
            "dimensions": {d.key: d.labels() if d.kind == "choice" else [d.low, d.high]
                           for d in self.space.dimensions},
            "logarithmic": [d.key for d in self.space.dimensions if d.log],
            "rows": rows, "paired": self.paired("the search", rows), "warnings": self.warnings,
        }  # fmt: skip

    def _member(self, trial: FrozenTrial) -> dict[str, Any]:
        return {"trial": slot_of(trial), "values": dict(
            zip(self.search.objectives, trial.values, strict=True)), "params": trial.params,
            "config_sha256": trial.user_attrs.get("config_sha256"),
            "folder": str(self.place(slot_of(trial)).relative_to(self.folder))}  # fmt: skip


def trials_frame(trials: Trials, objectives: Sequence[str]) -> pl.DataFrame:
    """Return ``trials.parquet``: a row per trial of Optuna's; a retry names whose."""
    rows = []
    for t in trials.trials():
        attrs = t.user_attrs
        values = t.values if t.state.name == "COMPLETE" else [None] * len(objectives)
        rows.append({
            "trial": slot_of(t), "number": t.number, "attempt": int(attrs.get("attempt", 0)),
            "retry_of": attrs.get("retry_of"), "state": t.state.name,
            **dict(zip(objectives, values, strict=True)),
            **{f"param.{k}": json.dumps(v) if isinstance(v, bool | str) else v
               for k, v in t.params.items()},
            "evaluations": len(t.intermediate_values), "begun": t.datetime_start,
            "ended": t.datetime_complete, "seconds": attrs.get("seconds"),
            "epochs": attrs.get("epochs"), "parameters": attrs.get("parameters"),
            "config_sha256": attrs.get("config_sha256"), "failure": attrs.get("failure"),
        })  # fmt: skip
    return pl.DataFrame(rows, infer_schema_length=None)


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


class Clock:
    """Counts the seconds of a search over all its resumes."""

    def __init__(self, path: Path, limit: float | None) -> None:
        self.path, self.limit = path, limit
        self.before = 0.0
        if path.is_file():
            self.before = float(json.loads(path.read_text(encoding="utf-8"))["seconds"])
        self.start = time.monotonic()

    def seconds(self) -> float:
        """Return the seconds so far."""
        return self.before + time.monotonic() - self.start

    def over(self) -> bool:
        """Say whether no trial may begin."""
        return self.limit is not None and self.seconds() >= self.limit

    def tick(self) -> None:
        """Remember the seconds."""
        write_json(self.path, {"seconds": self.seconds()})


class History:
    """``metrics.jsonl`` of a search: a line per finished trial, mirrored to the parent run."""

    def __init__(
        self, folder: Path, objectives: Sequence[str], tracker: Tracker, progress: Any
    ) -> None:
        self.path, self.objectives = folder / "metrics.jsonl", objectives
        self.tracker, self.progress = tracker, progress
        self.lock = FileLock(str(folder / WORKERS / "history.lock"))
        self.known: set[int] = set()

    def take(self, trials: Trials) -> None:
        """Write what ended since the last call, unless another process did."""
        ended = trials.finished()
        if not ended.keys() - self.known:
            return
        with self.lock:
            self.known |= self._written()
            fresh = [t for n, t in ended.items() if n not in self.known]
            for trial in sorted(fresh, key=lambda t: str(t.datetime_complete)):
                self._write(trial, ended, trials.config.trials)

    def _written(self) -> set[int]:
        text = self.path.read_text(encoding="utf-8") if self.path.is_file() else ""
        return {int(json.loads(line)["trial"]) for line in text.splitlines()}

    def _write(self, trial: FrozenTrial, ended: Mapping[int, FrozenTrial], total: int) -> None:
        self.known.add(slot_of(trial))
        line: dict[str, Any] = {"step": len(self.known), "trial": slot_of(trial),
                                "state": trial.state.name}  # fmt: skip
        if trial.state.name == "COMPLETE":
            line |= zip(self.objectives, trial.values, strict=True)
        best = best_of([t for n, t in ended.items() if n in self.known], self.objectives)
        if best is not None:
            line[f"best_{self.objectives[0]}"] = best.values[0]
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self._say(line, total)
        step, numbers = split_line(line)
        self.tracker.log(step, numbers)

    def _say(self, line: Mapping[str, Any], total: int) -> None:
        first = self.objectives[0]
        best = line.get(f"best_{first}")
        shown = "" if best is None else f"best {first} {best:.5f}"
        value = f" {first} {line[first]:.5f}," if first in line else ""
        logger.info("trial %d %s:%s %s (%d of %d)", line["trial"], line["state"].lower(), value,
                    shown, line["step"], total)  # fmt: skip
        if self.progress is not None:
            self.progress.update("trials", line["step"], total, shown)


class Workers:
    """Processes that share the trials with any others that join."""

    def __init__(self, job: ParamsJob, trials: Trials, clock: Clock, history: History) -> None:
        self.job, self.trials, self.clock, self.history = job, trials, clock, history
        self.running: dict[int, subprocess.Popen[bytes]] = {}
        self.deaths = 0

    def run(self) -> None:
        """Start them, watch them, replace the dead."""
        try:
            for number in range(self.job.search.jobs):
                self._start(number)
            while self.running:
                time.sleep(POLL_S)
                self.clock.tick()
                self.history.take(self.trials)
                self._look()
        finally:
            self._stop()

    def _start(self, number: int) -> None:
        command = [sys.executable, "-m", "ctrkit.jobs.worker", str(self.job.folder)]
        if self.clock.limit is not None:
            command.append(str(max(0.0, self.clock.limit - self.clock.seconds())))
        threads = str(self.job.threads())
        env = {**os.environ, "OMP_NUM_THREADS": threads, "POLARS_MAX_THREADS": threads}
        if self.job.url is not None:
            env["CTRKIT_SEARCH_STORAGE"] = self.job.url
        log = self.job.folder / WORKERS / f"{number}.log"
        with log.open("ab") as file:  # a session of its own: Ctrl-C is passed on, once
            self.running[number] = subprocess.Popen(
                command, env=env, stdout=file, stderr=file, stdin=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip

    def _look(self) -> None:
        for number, process in list(self.running.items()):
            code = process.poll()
            if code is None:
                continue
            del self.running[number]
            if code == 0 or self.clock.over() or self.trials.done():
                continue
            if code == 2:  # a mistake of the user's, told in the log's last line
                log = self.job.folder / WORKERS / f"{number}.log"
                lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
                raise CtrkitError(lines[-1] if lines else "a worker refused to work")
            self.deaths += 1
            log = self.job.folder / WORKERS / f"{number}.log"
            if self.deaths > self.job.search.jobs * (1 + self.job.search.retries) + len(
                self.trials.finished()
            ):
                raise CtrkitError(f"workers die again and again; the last words of one: {log}")
            logger.warning("worker %d died (exit code %d): another takes its place", number, code)
            self._start(number)

    def _stop(self) -> None:
        for process in self.running.values():
            process.send_signal(2)
        for process in self.running.values():
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _begun(place: Path, config: RunConfig) -> bool:
    """Say whether a folder is empty, or holds this very run."""
    path = place / "config.json"
    if path.is_file():
        data = json.loads(path.read_text(encoding="utf-8"))
        return RunConfig.model_validate(data).sha256() == _sha(config)
    return True


def _sha(config: RunConfig) -> str:
    """Return the identity of a run, or of the search that is tried, once it is resolved."""
    plain = resolve(plain_config(config))
    return config.model_copy(update={"model": plain.model, "train": plain.train}).sha256()


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


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
