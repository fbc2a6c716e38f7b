"""``search interactions``: an operation for each pair, the plain model of them, its controls."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from ctrkit.data.store.batches import Batches
from ctrkit.errors import ConfigError, SchemaError
from ctrkit.models.model import Model
from ctrkit.models.resolve import find_preset
from ctrkit.nn.gates.pair import OPS
from ctrkit.runs.inputs import JobData
from ctrkit.search import compare
from ctrkit.search.base import DEFAULTS, Search, SearchJob, SearchOptions
from ctrkit.search.interactions.config import InteractionsConfig
from ctrkit.search.interactions.operations import (
    HELD_SHARE,
    GateBatches,
    PairDecision,
    random_ops,
    search_pairs,
    undecided,
)
from ctrkit.search.interactions.outcome import (
    OURS,
    InteractionsRecord,
    PairChoice,
    PairsOutcome,
)
from ctrkit.search.interactions.pairs import FieldPairs, ranked_pairs
from ctrkit.search.interactions.report import summarise_interaction_search
from ctrkit.search.training import TrainingJob, plain_config, seeded

logger = logging.getLogger(__name__)
RANDOM = "random"
CONTROLS: Mapping[str, Sequence[str]] = {
    "none": (),
    "default": ("all naive", RANDOM),
    "all": ("all naive", RANDOM, "all memorize", "all factorize"),
}
OTHER = 0x5EA2C4
"""Keeps the seeds of the search apart from those of retraining, so that no initial weight of the
search is used again."""


@dataclass(frozen=True)
class Candidate:
    """Operations that were searched for and trained, in their own folder."""

    folder: Path
    decision: PairDecision
    job: TrainingJob
    outcome: PairsOutcome


class InteractionSearch(SearchJob):
    """A search for an operation on each pair of fields (OptInter)."""

    config: InteractionsConfig
    top: ClassVar = ("run.toml", "schema.toml", "pairs.json", "run")
    parts: ClassVar = ("searches", "controls", "crosses.json")
    known_controls: ClassVar = CONTROLS

    def __init__(
        self,
        config: InteractionsConfig,
        data: JobData,
        folder: Path,
        options: SearchOptions = DEFAULTS,
    ) -> None:
        """Add the branch ``pairs`` to a model without it; see :class:`SearchJob`."""
        if len(data.schema.fields) < 2:
            raise SchemaError(
                f"pairs need at least two fields; the schema has {len(data.schema.fields)}"
            )
        super().__init__(_with_pairs(config), data, folder, options)
        self.ranked = ranked_pairs(config, self.schema.names)

    @cached_property
    def pairs(self) -> FieldPairs:
        """The pairs of fields."""
        return FieldPairs(self.config, self.data, self.ranked, self.folder / "crosses.json")

    def _execute(self) -> Search:
        """Search and retrain for each seed, train the controls, report."""
        self.claim()
        self.open()
        candidates = [
            self.candidate(self.folder / "searches" / str(seed), seed) for seed in self.seeds
        ]
        rows = {OURS: [candidate.outcome for candidate in candidates]}
        for name in CONTROLS[self.options.controls]:
            rows[name] = [
                self.control(name, seed, candidate.decision.ops)
                for seed, candidate in zip(self.seeds, candidates, strict=True)
            ]
        for name, controls in rows.items():
            if name != OURS:
                self.warn_if_better(repr(name), controls[0], rows[OURS][0])
        first = candidates[0]
        job = self.adopt(first.folder, first.job)
        record = self._record(first.decision, rows)
        return self.finish(record, summarise_interaction_search(record), job)

    # ---- candidates and controls

    def candidate(self, folder: Path, seed: int) -> Candidate:
        """Search and retrain in one folder; what is finished there is not done again."""
        folder.mkdir(parents=True, exist_ok=True)
        decision = PairDecision.load(folder) or self._search(folder, seed)
        job, outcome = self._train(folder, decision.ops, seed)
        return Candidate(folder, decision, job, replace(outcome, search_s=decision.seconds))

    def _search(self, folder: Path, seed: int) -> PairDecision:
        pairs, config = self.pairs, seeded(self.config, seed)
        logger.info("searching %d pairs, seed %d", len(pairs.searched), seed)
        decision = search_pairs(
            self._open_model(seed),
            self._batches(seed),
            config,
            cost=[pairs.cost(p) for p in pairs.searched],
            evaluate=self.validation(config.train),
            folder=folder / "search",
            progress=self.progress,
        )
        decision.save(folder)
        shutil.rmtree(folder / "search", ignore_errors=True)
        return decision

    def _batches(self, seed: int) -> GateBatches:
        """Return the batches of the weights, and those of the operations in a bilevel search."""
        train, shards = self.config.train, self.data.shards
        bilevel = self.config.search.update == "bilevel"
        weights = Batches(
            shards,
            "train",
            train.batch_size,
            shuffle=True,
            seed=seed,
            window=train.shuffle_rows,
            part="rest" if bilevel else "all",
        )
        if not bilevel:
            return GateBatches(weights)
        size = max(1, train.batch_size // HELD_SHARE)
        held = Batches(shards, "train", size, shuffle=True, seed=seed + OTHER, part="tenth")
        if not held.steps():
            raise ConfigError(
                "too few training rows to hold 10 % out for the operations: set "
                "search.update = 'joint'"
            )
        return GateBatches(weights, held)

    def _open_model(self, seed: int) -> Model:
        """Build the model whose operations are searched."""
        pairs = self.pairs
        ops = undecided(pairs.pairs, [pairs.pairs[p] for p in pairs.searched])
        largest = [OPS[2] if op == OPS[2] else OPS[0] for op in ops]
        update = {"crosses": "hashed", "cross_rows": pairs.shared_rows(largest)}
        return self.model(seed ^ OTHER, self.config.model.model_copy(update=update), ops)

    def control(self, name: str, seed: int, ours: Sequence[str]) -> PairsOutcome:
        """Train the same model with operations that are chosen without a search.

        Args:
            name: ``random``, or ``all`` and an operation.
            seed: Seed of the run and of the draw.
            ours: The operations that the search chose.
        """
        if name == RANDOM:
            ops = random_ops(ours, self.pairs.searched, self.pairs.rows, seed)
        else:
            ops = [name.removeprefix("all ")] * len(ours)
        folder = self.folder / "controls" / name.replace(" ", "-") / str(seed)
        _, outcome = self._train(folder, ops, seed)
        return replace(outcome, name=name)

    def _train(
        self, folder: Path, ops: Sequence[str], seed: int
    ) -> tuple[TrainingJob, PairsOutcome]:
        """Write and train the plain model of some operations."""
        folder.mkdir(parents=True, exist_ok=True)
        pairs, exact = self.pairs, self.pairs.fits(ops)
        config = plain_config(self.config)
        model = {
            "operations": pairs.operations(ops),
            "crosses": "exact" if exact else "hashed",
            "cross_rows": pairs.shared_rows(ops),
        }
        schema_path = str((folder / "schema.toml").absolute())
        update = {
            "data": config.data.model_copy(update={"schema_path": schema_path}),
            "model": config.model.model_copy(update=model),
            "train": config.train.model_copy(update={"seed": seed, "init": None}),
        }
        job = TrainingJob(config.model_copy(update=update), self.schema)
        job.save(folder / "run.toml")
        run = self.train(job, folder / "run")
        counts = {op: list(ops).count(op) for op in OPS}
        if exact:
            cross_rows = pairs.memorized(ops) + counts[OPS[0]]
        else:
            cross_rows = pairs.shared_rows(ops) if counts[OPS[0]] else 0
        outcome = PairsOutcome.of(
            run,
            self.folder,
            fields=len(self.schema.fields),
            train_examples_s=run.record.timings["train_examples_s"],
            pairs=counts,
            cross_rows=cross_rows,
            cross_bytes=int(pairs.bytes(cross_rows)),
            label="hashed to fit" if pairs.exact and not exact else "",
        )
        return job, outcome

    # ---- the end

    def _record(
        self, decision: PairDecision, rows: Mapping[str, Sequence[PairsOutcome]]
    ) -> InteractionsRecord:
        searched = set(self.pairs.searched)
        chosen = zip(
            self.pairs.operations(decision.ops),
            decision.probability.round(6).tolist(),
            self.pairs.information(),
            strict=True,
        )
        return InteractionsRecord(
            model=self.config.model.name,
            config_sha256=self.config.sha256(),
            search=self.config.search,
            fields=self.data.layout.names,
            pairs=[
                PairChoice(
                    fields=operation.fields,
                    op=operation.op,
                    rows=operation.rows,
                    min_count=operation.min_count,
                    probability=probability,
                    searched=place in searched,
                    information=information,
                )
                for place, (operation, probability, information) in enumerate(chosen)
            ],
            rows=rows,
            paired=compare.paired_tests(self.folder, OURS, rows),
            warnings=self.warnings,
        )


def _with_pairs(config: InteractionsConfig) -> InteractionsConfig:
    """Return the configuration with the branch ``pairs`` and no operations of its own."""
    branches = config.model.interactions or find_preset(config.model).interactions
    if "pairs" not in branches:
        branches = (*branches, "pairs")
    model = config.model.model_copy(update={"interactions": branches, "operations": None})
    return config.model_copy(update={"model": model})
