"""One trial: its configuration drawn, trained in its own folder, evaluated and recorded."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ctrkit.config.sections import RunConfig
from ctrkit.data.read.sources import Source
from ctrkit.errors import CtrkitError
from ctrkit.files import remove
from ctrkit.records import Progress, RunRecord
from ctrkit.runs.folder import RunFolder
from ctrkit.runs.inputs import JobData
from ctrkit.runs.train import run_training
from ctrkit.schema import Schema
from ctrkit.search.base import SearchOptions
from ctrkit.search.kinds import KINDS
from ctrkit.search.params.config import ParamsSearchConfig
from ctrkit.search.params.latency import latency
from ctrkit.search.params.pareto import front
from ctrkit.search.params.samplers import Pruning, prunes
from ctrkit.search.params.space import Space
from ctrkit.search.params.study import Claim, Trials
from ctrkit.search.params.trial import COMPLETE, FAIL, PRUNED, TrialNote, TrialResult
from ctrkit.search.training import resolved, save_config
from ctrkit.secrets import redact
from ctrkit.track import tracked_below
from ctrkit.train import Callback, Pruned

logger = logging.getLogger(__name__)
DISCARDED = (
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
"""Parts of a trial's folder that are kept of the best trials only (``search.keep``)."""


class TrialRunner:
    """Runs the trials of a search in its folder.

    Args:
        folder: The search folder.
        search: ``[search]``.
        space: What is drawn.
        source: The raw rows.
        schema: What the columns mean.
        progress: Shows how far training is.
    """

    def __init__(
        self,
        folder: Path,
        search: ParamsSearchConfig,
        space: Space,
        source: Source,
        schema: Schema,
        progress: Progress | None = None,
    ) -> None:
        self.folder, self.search, self.space = folder, search, space
        self.source, self.schema, self.progress = source, schema, progress

    def place(self, slot: int) -> Path:
        """Return the folder of a trial."""
        return self.folder / "trials" / f"{slot:04d}"

    def config(self, values: Mapping[str, Any], slot: int | None = None) -> RunConfig:
        """Return the configuration of a trial.

        Args:
            values: The drawn point; empty: the configuration before the search.
            slot: Number of the trial, for the name of its tracked run; None: no trial.
        """
        config = self.space.apply(values)
        data = config.data.model_copy(update={"schema_path": str(self.folder / "schema.toml")})
        config = config.model_copy(update={"data": data})
        if slot is None or type(config) is not RunConfig:
            return config
        name = config.track.run_name or self.folder.name
        track = config.track.model_copy(update={"run_name": f"{name}-{slot}"})
        return config.model_copy(update={"track": track})

    def run(self, trials: Trials, claim: Claim) -> None:
        """Run a claimed trial to its end and record it.

        A trial that raises is recorded as failed and the search continues.

        Raises:
            KeyboardInterrupt: The trial was queued again.
            OSError: Such as a full disk, which is not the trial's fault: it will be retried.
        """
        with trials.running(claim):
            logger.info("trial %d begins", claim.slot)
            try:
                result = self._evaluate(trials, claim)
            except Pruned as stop:
                self._note(claim, PRUNED, str(stop))
                trials.prune(claim)
            except KeyboardInterrupt:
                trials.interrupt(claim)
                raise
            except OSError:
                raise
            except Exception as error:
                reason = _reason(error)
                logger.warning("trial %d failed: %s", claim.slot, reason)
                self._note(claim, FAIL, reason, redact(traceback.format_exc()))
                trials.fail(claim, reason)
            else:
                trials.complete(claim, result.values)
        self._discard(trials)

    def make(self, config: RunConfig, place: Path, callbacks: Sequence[Callback] = ()) -> Path:
        """Train, or search, in a folder, resuming what was interrupted; return the run folder."""
        if type(config) is not RunConfig:
            place.parent.mkdir(parents=True, exist_ok=True)
            save_config(
                config,
                place.with_suffix(".toml"),
                pairs=place.with_name(f"{place.name}-pairs.json"),
            )
            kind, data = KINDS[self.search.over].job, JobData(self.source, self.schema, [])
            folder = kind(config, data, place).workspace
            another = bool(folder.present()) and not folder.same()
            options = SearchOptions(controls="none", force=another, progress=self.progress)
            return kind(config, data, place, options).run().run.folder
        run_training(
            config,
            self.source,
            self.schema,
            place,
            progress=self.progress,
            force=not self.holds(place, config),
            callbacks=callbacks,
        )
        return place

    def holds(self, run: Path, config: RunConfig) -> bool:
        """Return whether a run folder is empty, or holds the run of a configuration."""
        folder = RunFolder(run, resolved(config), self.schema, self.source.fingerprint())
        return not folder.present() or folder.same()

    def _evaluate(self, trials: Trials, claim: Claim) -> TrialResult:
        """Draw, train and evaluate; a result that an earlier attempt recorded is taken over."""
        started = time.perf_counter()
        config = self.config(trials.draw(claim, self.space), claim.slot)
        identity = resolved(config).sha256()
        claim.trial.set_user_attr("config_sha256", identity)
        note = TrialNote.load(self._note_path(claim))
        if note is not None and note.result and note.result.config_sha256 == identity:
            note.result.note(claim.trial)
            return note.result
        if note is not None and note.state == PRUNED and trials.was_attempt(claim, note, identity):
            raise Pruned(note.reason)
        pruning = [Pruning(claim.trial, self.search.objectives[0])] if prunes(self.search) else []
        with tracked_below(self.folder, trial=claim.slot, optuna_trial=claim.trial.number):
            run = self.make(config, self.place(claim.slot), pruning)
        record = RunRecord.load(run / "record.json")
        validation = record.metrics["validation"]
        result = TrialResult(
            values=tuple(self._objective(name, run, validation) for name in self.search.objectives),
            config_sha256=identity,
            seconds=time.perf_counter() - started,
            epochs=record.training["epochs"],
            parameters=record.parameters["allocated"],
            validation={name: validation[name] for name in ("logloss", "auc")},
        )
        self._note(claim, COMPLETE, result=result)
        result.note(claim.trial)
        return result

    def _objective(self, name: str, run: Path, validation: Mapping[str, float]) -> float:
        if name == "bytes":
            return float((run / "model.safetensors").stat().st_size)
        if name == "latency":
            return latency(run, self.source, self.schema)
        value = float(validation[name])
        if value != value:
            raise CtrkitError(f"the {name} on the validation rows is not a number")
        return value

    def _note_path(self, claim: Claim) -> Path:
        return self.place(claim.slot).with_suffix(".json")

    def _note(
        self,
        claim: Claim,
        state: str,
        reason: str = "",
        trace: str = "",
        result: TrialResult | None = None,
    ) -> None:
        """Write how a trial ended, before Optuna's study is updated."""
        note = TrialNote(claim.slot, claim.trial.number, state, reason, trace, result)
        note.save(self._note_path(claim))

    def _discard(self, trials: Trials) -> None:
        """Remove what only the best trials keep."""
        if self.search.keep == "all":
            return
        with trials.locks.turn:
            finished = trials.finished()
            best = {a.slot for a in front(list(finished.values()), self.search.objectives)}
            for slot in finished.keys() - best:
                for folder in (self.place(slot), self.place(slot) / "run"):
                    for name in DISCARDED if folder.is_dir() else ():
                        remove(folder / name)


def _reason(error: Exception) -> str:
    """Return an error as one line; ctrkit's own are shown without their type."""
    first = redact((str(error).splitlines() or [""])[0])
    if isinstance(error, CtrkitError):
        return first
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
