"""``search features``: gates, a list of kept values, a smaller model, and its controls."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
from safetensors.torch import save_file

from ctrkit.data.encode.prune import prune
from ctrkit.data.store.batches import Batches
from ctrkit.errors import ConfigError
from ctrkit.files import atomic_path
from ctrkit.models.build import build_model
from ctrkit.nn.gates.value import MOST_DENSE
from ctrkit.runs.inputs import JobData
from ctrkit.schema import Schema
from ctrkit.search import compare
from ctrkit.search.base import DEFAULTS, Search, SearchJob, SearchOptions
from ctrkit.search.features.compact import compact
from ctrkit.search.features.config import FeaturesConfig
from ctrkit.search.features.gates import (
    Attempt,
    Mask,
    ValueDecision,
    best_values,
    masks,
    open_gates,
    search_values,
)
from ctrkit.search.features.outcome import (
    ALL_VALUES,
    AT_RANDOM,
    BY_FREQUENCY,
    OURS,
    FeatureOutcome,
    FeaturesRecord,
)
from ctrkit.search.features.report import summarise_feature_search
from ctrkit.search.features.values import Values
from ctrkit.search.training import TrainingJob, plain_config, seeded

logger = logging.getLogger(__name__)
CONTROLS: Mapping[str, Sequence[str]] = {
    "none": (),
    "frequency": (BY_FREQUENCY,),
    "default": (ALL_VALUES, BY_FREQUENCY),
    "all": (ALL_VALUES, BY_FREQUENCY, AT_RANDOM),
}


@dataclass(frozen=True)
class Candidate:
    """A choice of values that was trained, in its own folder."""

    folder: Path
    job: TrainingJob
    outcome: FeatureOutcome


class FeatureSearch(SearchJob):
    """A search for the feature values that are worth an embedding row (OptFS)."""

    config: FeaturesConfig
    top: ClassVar = (
        "run.toml",
        "schema.toml",
        "encoder",
        "init.safetensors",
        "features.parquet",
        "run",
    )
    parts: ClassVar = ("candidates", "controls", "seeds")
    known_controls: ClassVar = CONTROLS

    def __init__(
        self,
        config: FeaturesConfig,
        data: JobData,
        folder: Path,
        options: SearchOptions = DEFAULTS,
    ) -> None:
        """Give every categorical field a vocabulary; see :class:`SearchJob`."""
        if config.model.table == "hashed":
            raise ConfigError(
                "search features needs an embedding row for each value: set model.table = auto"
            )
        schema, notices = with_vocabularies(data.schema)
        data = replace(data, schema=schema, warnings=[*data.warnings, *notices])
        super().__init__(config, data, folder, options)

    @cached_property
    def values(self) -> Values:
        """The feature values of the training rows."""
        return Values(self.data)

    def _execute(self) -> Search:
        """Try every penalty or ratio, choose on validation, add seeds and controls, report."""
        self.claim()
        self.open()
        attempts = {attempt.name: attempt for attempt in self._attempts()}
        candidates = {
            name: self.candidate(self.folder / "candidates" / name, attempt, self.first)
            for name, attempt in attempts.items()
        }
        winner = min(candidates, key=lambda n: candidates[n].outcome.validation.logloss)
        if self._drops_too_much(candidates[winner].outcome):
            candidates[ALL_VALUES] = self._keep_all(candidates[winner].folder)
            winner = ALL_VALUES
        ours = [candidates[winner].outcome]
        for seed in self.seeds[1:]:
            place = self.folder / "seeds" / str(seed)
            again = (
                self.control(ALL_VALUES, seed)
                if winner == ALL_VALUES
                else self.candidate(place, attempts[winner], seed)
            )
            ours.append(again.outcome)
        rows = {OURS: ours}
        for name in CONTROLS[self.options.controls]:
            rows[name] = [self._control_of(name, row) for row in ours]
        self._warn_of_controls(rows)
        job = self.adopt(candidates[winner].folder, candidates[winner].job)
        tried = [candidate.outcome for candidate in candidates.values()]
        record = self._record(tried, winner, rows, job)
        features = pl.read_parquet(self.folder / "features.parquet", glob=False)
        return self.finish(record, summarise_feature_search(record, features), job)

    def _attempts(self) -> list[Attempt]:
        search = self.config.search
        ratios = [Attempt("ratio", value) for value in search.target_ratio]
        return ratios or [Attempt("penalty", value) for value in search.penalty]

    def _drops_too_much(self, best: FeatureOutcome) -> bool:
        """Return whether validation significantly prefers all values to the default penalties.

        A penalty, ratio or preset that the user chose is left as it is.
        """
        search = self.config.search
        if search.target_ratio or "penalty" in search.model_fields_set:
            return False
        if ALL_VALUES not in CONTROLS[self.options.controls]:
            return False
        all_values = self.control(ALL_VALUES, self.first).outcome
        return compare.prefers(self.folder, all_values, best)

    def _keep_all(self, best: Path) -> Candidate:
        """Make the model over all values the winner; its gates are those of a candidate."""
        control = self.control(ALL_VALUES, self.first)
        decision = ValueDecision.load(best)
        assert decision is not None
        table = self.values.table(decision.gate, np.ones(len(decision.gate), bool))
        write_table(table, control.folder / "features.parquet")
        self.warn(
            "nothing is dropped: on validation, the model over all values is significantly better "
            "(95 % CI) than those that the default penalties left; set --target-ratio for a "
            "smaller one"
        )
        return replace(control, outcome=replace(control.outcome, penalty=0.0, search_s=0.0))

    def _warn_of_controls(self, rows: Mapping[str, Sequence[FeatureOutcome]]) -> None:
        ours = rows[OURS][0]
        for name, controls in rows.items():
            if name != OURS:
                advice = (
                    "to keep more values, lower search.penalty or raise --target-ratio"
                    if name == ALL_VALUES
                    else ""
                )
                self.warn_if_better(repr(name), controls[0], ours, advice)

    # ---- candidates and controls

    def candidate(self, folder: Path, attempt: Attempt, seed: int) -> Candidate:
        """Search, prune and retrain in one folder; what is finished there is not done again."""
        folder.mkdir(parents=True, exist_ok=True)
        decision = ValueDecision.load(folder) or self._search(folder, attempt, seed)
        self._warn_of_gates(decision)
        job = self._prune(folder, decision.kept, seed, decision)
        write_table(self.values.table(decision.gate, decision.kept), folder / "features.parquet")
        outcome = self._train(folder, folder.name, job, decision.kept)
        outcome = replace(outcome, penalty=decision.penalty, search_s=decision.seconds)
        return Candidate(folder, job, outcome)

    def _search(self, folder: Path, attempt: Attempt, seed: int) -> ValueDecision:
        config = seeded(self.config, seed)
        logger.info("searching with %s %g, seed %d", attempt.kind, attempt.value, seed)
        train = config.train
        batches = Batches(
            self.data.shards,
            "train",
            train.batch_size,
            shuffle=True,
            seed=seed,
            window=train.shuffle_rows,
        )
        decision = search_values(
            self.model(seed),
            batches,
            config,
            attempt,
            evaluate=self.validation(train),
            folder=folder / "search",
            progress=self.progress,
        )
        decision.save(folder)
        shutil.rmtree(folder / "search", ignore_errors=True)
        return decision

    def _warn_of_gates(self, decision: ValueDecision) -> None:
        if decision.silent:
            self.warn(
                f"the gates of {', '.join(decision.silent[:5])} never received a gradient: "
                "does the model read these fields?"
            )
        if decision.touched_only:
            self.warn(f"more than {MOST_DENSE:,} values: only those of each batch were penalised")

    def _control_of(self, name: str, searched: FeatureOutcome) -> FeatureOutcome:
        """Return a control of the same size and seed as a result of the search."""
        if searched.name == ALL_VALUES:  # any other choice of all values is the same one
            return replace(searched, name=name)
        return self.control(name, searched.seed, searched.kept).outcome

    def control(self, name: str, seed: int, count: int = 0) -> Candidate:
        """Train the same model on values that are chosen without a search.

        Args:
            name: ``all values``, ``by frequency`` or ``at random``.
            seed: Seed of the run and of the draw.
            count: How many values are kept; all of them for ``all values``.
        """
        kept = np.ones(len(self.values.seen), bool)
        if name != ALL_VALUES:
            draw = np.random.default_rng(seed).random(len(kept))
            score = draw if name == AT_RANDOM else self.values.counts.astype(np.float64)
            kept = best_values(np.where(self.values.seen, score, -np.inf), count)
        folder = self.folder / "controls" / name.replace(" ", "-") / str(seed)
        folder.mkdir(parents=True, exist_ok=True)
        job = self._prune(folder, kept, seed)
        return Candidate(folder, job, self._train(folder, name, job, kept))

    def _prune(
        self, folder: Path, kept: Mask, seed: int, decision: ValueDecision | None = None
    ) -> TrainingJob:
        """Write the pruned encoder, the rewound weights and the job that trains on them."""
        kept_of = masks(self.data.layout, kept)
        encoder = prune(self.data.encoder, kept_of)
        encoder.save(folder / "encoder")
        init = None
        if decision is not None and self.config.search.init == "rewind":
            new = build_model(
                self.config.model,
                encoder.layout(),
                seed=seed,
                sparse_from=self.config.train.sparse_from,
            )
            factor = open_gates(self.data.layout, self.config.search, 1.0, 1, 1).factor
            weights = compact(decision.snapshot, self.model(seed), new, kept_of, factor)
            init = folder / "init.safetensors"
            with atomic_path(init) as path:
                save_file(
                    {k: v.contiguous() for k, v in weights.items()}, path, metadata={"format": "1"}
                )
        job = self._job(folder, encoder.schema, seed, init)
        job.save(folder / "run.toml")
        return job

    def _job(self, folder: Path, schema: Schema, seed: int, init: Path | None) -> TrainingJob:
        """Return the job that trains on the pruned encoder in a folder."""
        job = TrainingJob(plain_config(self.config), self.schema)
        config = job.narrowed(schema, folder / "schema.toml").config
        encoder = str((folder / "encoder").absolute())
        start = None if init is None else str(init.absolute())
        update = {
            "data": config.data.model_copy(update={"encoder": encoder}),
            "train": config.train.model_copy(update={"seed": seed, "init": start}),
        }
        return TrainingJob(config.model_copy(update=update), schema)

    def _train(self, folder: Path, name: str, job: TrainingJob, kept: Mask) -> FeatureOutcome:
        """Train a job; return what is compared."""
        run = self.train(job, folder / "run")
        return FeatureOutcome.of(
            run,
            self.folder,
            name=name,
            fields=len(job.schema.fields),
            train_examples_s=run.record.timings["train_examples_s"],
            **self.values.shares(kept),
        )

    def _record(
        self,
        candidates: Sequence[FeatureOutcome],
        winner: str,
        rows: Mapping[str, Sequence[FeatureOutcome]],
        job: TrainingJob,
    ) -> FeaturesRecord:
        return FeaturesRecord(
            model=self.config.model.name,
            config_sha256=self.config.sha256(),
            winner=winner,
            search=self.config.search,
            candidates=candidates,
            rows=rows,
            paired=compare.paired_tests(self.folder, OURS, rows),
            warnings=self.warnings,
            fields_dropped=sorted(set(self.schema.names) - set(job.schema.names)),
        )


def with_vocabularies(schema: Schema) -> tuple[Schema, list[str]]:
    """Return the schema with a vocabulary for every category, since gates belong to values."""
    coded = [f for f in schema.fields if f.kind != "numeric"]
    notices = [
        f"field {f.name!r} is encoded with a vocabulary instead of hashes: each value has a gate"
        for f in coded
        if f.encoding == "hash"
    ]
    if schema.crosses:
        notices.append("crosses are hashed and have no gates: the search leaves them as they are")
    fields = tuple(
        replace(f, encoding="vocabulary") if f.kind != "numeric" else f for f in schema.fields
    )
    return replace(schema, fields=fields), notices


def write_table(table: pl.DataFrame, path: Path) -> None:
    """Write a table as Parquet, whole or not at all."""
    with atomic_path(path) as temporary:
        table.write_parquet(temporary)
