"""``search interactions``: an operation for each pair, a plain model of them, honest controls."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Unpack, cast

from ctrkit.config.files import to_toml
from ctrkit.data.encode.cross_counts import count_crosses, distinct_crosses
from ctrkit.data.read.sources import Source
from ctrkit.data.store.batches import Batches
from ctrkit.errors import ConfigError, SchemaError
from ctrkit.files import write_atomic, write_json
from ctrkit.models.model import Model
from ctrkit.models.pairs import field_pairs
from ctrkit.models.resolve import find_preset
from ctrkit.nn.gates.pair import OPS
from ctrkit.rank.folder import pairs_from_ranking
from ctrkit.report import write_report
from ctrkit.runs.inputs import DataOptions, PathLike
from ctrkit.runs.shared import shared_value
from ctrkit.schema import Schema
from ctrkit.search.base import (
    FORMAT,
    Search,
    SearchJob,
    check_repeats,
    open_search,
    plain_config,
)
from ctrkit.search.interactions.config import InteractionsConfig
from ctrkit.search.interactions.information import pair_information
from ctrkit.search.interactions.operations import HELD_SHARE, random_ops, search_pairs, undecided
from ctrkit.search.interactions.report import summarise_interaction_search

logger = logging.getLogger(__name__)
CONTROLS = {
    "none": (),
    "default": ("all naive", "random"),
    "all": ("all naive", "random", "all memorize", "all factorize"),
}
ROWS = 1_000_000
"""Training rows from which crosses are counted, where a sample does."""
BATCH = 65_536
SPREAD = 2
"""Rows of a hashed table per cross that training met, where the budget allows."""
OTHER = 0x5EA2C4
"""Apart from the seed of the retrained model: it starts with no weight of the search's."""


def search_interactions(
    data: PathLike | None = None,
    *,
    model: str | None = None,
    out: PathLike = "search",
    budget: int | None = None,
    exact: bool = False,
    pairs: PathLike | None = None,
    seed: int | None = None,
    seeds: int = 1,
    controls: str = "default",
    force: bool = False,
    plugins: Sequence[PathLike] = (),
    progress: Any = None,
    **options: Unpack[DataOptions],
) -> Search:
    """Learn of every pair of fields how to model it, and train the plain model of the outcome.

    Args:
        data: As of :func:`ctrkit.jobs.train`; or a ``search.toml`` with a ``[search]`` section.
        model: ``optinter`` where none is named; to any other the branch ``pairs`` is added.
        out: The search folder. An equal search that was cut goes on; another needs ``force``.
        budget: Bytes that memorized crosses may take (``search.budget``).
        exact: A row for each cross that training met often enough (``model.cross_min_count``),
            rather than rows shared by hash.
        pairs: Folder of a ranking: only its best pairs are searched (``search.most_pairs``).
        seed: Of weights and batches.
        seeds: How often search, retraining and controls are run.
        controls: ``default``: no pair at all, and the same operations dealt out at random;
            ``all``: also every pair memorized, and factorized; ``none``.
        force: Replace the search in ``out``.
        plugins: Python files that register components.
        progress: Object with ``update(stage, done, total, text)``.
        **options: See :class:`~ctrkit.runs.inputs.DataOptions`.

    Raises:
        ConfigError: An option is unknown or out of bounds.
        RunFolderError: ``out`` holds another search, or files of none.
    """
    check_repeats(controls, CONTROLS, seeds)
    config, source, schema, warnings = open_search(
        data,
        options,
        InteractionsConfig,
        model=model,
        seed=seed,
        plugins=plugins,
        otherwise="optinter",
        more={
            "search.budget": budget,
            "model.crosses": "exact" if exact else None,
            "search.pairs": None if pairs is None else str(Path(pairs).absolute()),
        },
    )
    if len(schema.fields) < 2:
        raise SchemaError(f"pairs need at least two fields; the schema has {len(schema.fields)}")
    job = _Search(
        _with_pairs(config), source, schema, Path(out), seeds, controls, warnings, progress
    )
    job.claim(force)
    return job.run()


def _with_pairs(config: InteractionsConfig) -> InteractionsConfig:
    """Add the branch ``pairs`` to a model without it; operations of its own are the search's."""
    found = config.model.interactions or find_preset(config.model).interactions
    branches = found if "pairs" in found else (*found, "pairs")
    model = config.model.model_copy(update={"interactions": branches, "operations": None})
    return config.model_copy(update={"model": model})


class _Search(SearchJob):
    config: InteractionsConfig
    top: ClassVar = ("run.toml", "schema.toml", "pairs.json", "run")
    parts: ClassVar = ("searches", "controls", "crosses.json")

    def __init__(
        self,
        config: InteractionsConfig,
        source: Source,
        schema: Schema,
        folder: Path,
        seeds: int,
        controls: str,
        warnings: list[str],
        progress: Any,
    ) -> None:
        super().__init__(config, source, schema, folder, warnings, progress)
        self.seeds, self.controls = seeds, controls
        self.exact = config.model.crosses == "exact"
        self.ranked = self._ranked()

    def run(self) -> Search:
        """Search and retrain for each seed, train the controls, report."""
        self.load()
        layout = self.data.layout
        self.pairs = field_pairs(layout)
        self.names = [(layout.names[i], layout.names[j]) for i, j in self.pairs]
        self.searched = self._searched()
        self.rows = self._crosses()
        every = [self.first, *self.seeds_from(self.seeds)]
        folders = {seed: self.folder / "searches" / str(seed) for seed in every}
        found = {seed: self.candidate(folders[seed], seed) for seed in every}
        rows = {"optinter": [found[seed] for seed in every]}
        for control in CONTROLS[self.controls]:
            rows[control] = [self.control(control, seed) for seed in every]
        self._warn_of_controls(rows)
        self.adopt(folders[self.first])
        record = self.record(rows)
        write_json(self.folder / "record.json", record)
        write_report(summarise_interaction_search(record), self.folder / "report.html")
        return self.finished(record)

    def _warn_of_controls(self, rows: dict[str, list[dict[str, Any]]]) -> None:
        """Say which controls validation surely (95 %) prefers to the search's model."""
        ours = rows["optinter"][0]
        for name, others in rows.items():
            if name != "optinter" and self.prefers(others[0], ours):
                theirs, own = (r["validation"]["logloss"] for r in (others[0], ours))
                self.warn(
                    f"the search did not pay here: on validation {name!r} has a log loss of "
                    f"{theirs:.5f}, the search {own:.5f}; its run is in {others[0]['folder']}"
                )

    # ---- what is searched, and what it costs

    def _ranked(self) -> set[frozenset[str]] | None:
        """Return the pairs of the ranking that are searched; None: all pairs are."""
        search, names = self.config.search, set(self.schema.names)
        if search.pairs is None:
            return None
        found = [frozenset(p) for p in pairs_from_ranking(Path(search.pairs)) if names >= set(p)]
        if not found:
            raise ConfigError(
                f"the ranking {search.pairs!r} names no pair of these fields; rank the same data "
                "with --order 2"
            )
        return set(found[: search.most_pairs])

    def _searched(self) -> list[int]:
        """Return the numbers of the pairs that are searched."""
        every = range(len(self.pairs))
        return [p for p in every if self.ranked is None or frozenset(self.names[p]) in self.ranked]

    def _crosses(self) -> list[int]:
        """Return how many crosses of each pair have, or would have, a row of their own."""
        path = self.folder / "crosses.json"
        if path.is_file():
            return cast(list[int], json.loads(path.read_text(encoding="utf-8"))["rows"])
        least = self.config.model.cross_min_count if self.exact else None
        facts = {
            "cross_rows": self.names,
            "min_count": least,
            "most_rows": ROWS,
            "rows": self.data.info.fingerprint,
            "format": FORMAT,
        }
        rows = cast(list[int], shared_value(self.config.data, facts, self._count))
        write_json(path, {"format": FORMAT, "pairs": self.names, "rows": rows})
        return rows

    def _count(self) -> list[int]:
        logger.info("counting the crosses of %d pairs", len(self.pairs))
        layout = self.data.layout
        stream = Batches(self.data.shards, "train", BATCH, shuffle=False).epoch(0)
        if self.exact:
            counts = count_crosses(stream, layout, self.pairs)
            return [int(n) for n in counts.distinct(self.config.model.cross_min_count)]
        return distinct_crosses(islice(stream, -(-ROWS // BATCH)), layout, self.pairs)

    def _bytes(self, rows: float) -> float:
        return rows * self.config.model.second_dim * 4

    def _shared_rows(self, ops: Sequence[str]) -> int:
        """Return the rows of the table that hashed crosses share."""
        met = sum(n for n, op in zip(self.rows, ops, strict=True) if op == OPS[0])
        most = int(self.config.search.budget / self._bytes(1))
        return max(1, min(SPREAD * met, most))

    # ---- search and retraining

    def candidate(self, folder: Path, seed: int) -> dict[str, Any]:
        """Search, make plain and retrain in one folder; what is there is not done again."""
        folder.mkdir(parents=True, exist_ok=True)
        done = folder / "found.json"
        if not done.is_file():
            self._search(folder, seed)
        found = json.loads(done.read_text(encoding="utf-8"))
        return {**self.plain(folder, found["ops"], seed), "search_s": found["seconds"]}

    def _search(self, folder: Path, seed: int) -> None:
        search, train = self.config.search, self.seeded(seed)
        model = self._open_model(seed)
        bilevel = search.update == "bilevel"
        batches = Batches(
            self.data.shards,
            "train",
            train.batch_size,
            shuffle=True,
            seed=seed,
            window=train.shuffle_rows,
            part="rest" if bilevel else "all",
        )
        held = self._held(train.batch_size, seed) if bilevel else None
        logger.info("searching %d pairs, seed %d", len(self.searched), seed)
        found = search_pairs(
            model,
            batches,
            held,
            train,
            search,
            cost=[self._bytes(self.rows[p]) for p in self.searched],
            evaluate=self.validation(train),
            folder=folder / "search",
            progress=self.progress,
        )
        seconds = found.fit.steps * train.batch_size / found.fit.examples_s
        write_json(
            folder / "found.json",
            {
                "ops": found.ops,
                "probability": found.probability.round(6).tolist(),
                "price": found.price,
                "seconds": seconds,
                "steps": found.fit.steps,
            },
        )
        shutil.rmtree(folder / "search", ignore_errors=True)

    def _held(self, batch_size: int, seed: int) -> Batches:
        held = Batches(
            self.data.shards,
            "train",
            max(1, batch_size // HELD_SHARE),
            shuffle=True,
            seed=seed + OTHER,
            part="tenth",
        )
        if not held.steps():
            raise ConfigError("too few training rows for search.update = 'bilevel': use 'joint'")
        return held

    def _open_model(self, seed: int) -> Model:
        ops = undecided(self.pairs, [self.pairs[p] for p in self.searched])
        every = [OPS[2] if op == OPS[2] else OPS[0] for op in ops]
        update = {"crosses": "hashed", "cross_rows": self._shared_rows(every)}
        return self.model(seed ^ OTHER, self.config.model.model_copy(update=update), ops)

    def plain(self, folder: Path, ops: Sequence[str], seed: int) -> dict[str, Any]:
        """Write ``pairs.json`` and ``run.toml`` of an architecture, train it, say what it took."""
        folder.mkdir(parents=True, exist_ok=True)
        self.schema.save(folder / "schema.toml")
        write_json(folder / "pairs.json", {"format": FORMAT, "pairs": self._operations(ops)})
        exact = self.exact and self._bytes(self._met(ops)) <= self.config.search.budget
        update = {"crosses": "exact" if exact else "hashed", "cross_rows": self._shared_rows(ops)}
        config = plain_config(self.config)
        config = config.model_copy(
            update={
                "data": config.data.model_copy(update={"schema_path": "schema.toml"}),
                "model": config.model.model_copy(update=update),
                "train": config.train.model_copy(update={"seed": seed, "init": None}),
            }
        )
        text = to_toml(config, pairs_file="pairs.json")
        write_atomic(folder / "run.toml", text)
        row = self.train(folder, seed)
        shared = self._shared_rows(ops) if OPS[0] in ops else 0
        rows = self._met(ops) + ops.count(OPS[0]) if exact else shared
        return {
            **row,
            "pairs": {op: list(ops).count(op) for op in OPS},
            "cross_rows": rows,
            "cross_bytes": int(self._bytes(rows)),
            "label": "hashed to fit" if self.exact and not exact else "",
        }

    def _met(self, ops: Sequence[str]) -> int:
        return sum(n for n, op in zip(self.rows, ops, strict=True) if op == OPS[0])

    def _operations(self, ops: Sequence[str]) -> list[dict[str, Any]]:
        least = self.config.model.cross_min_count if self.exact else 0
        return [
            {
                "fields": list(names),
                "op": op,
                "rows": rows if op == OPS[0] else 0,
                "min_count": least if op == OPS[0] else 0,
            }
            for names, op, rows in zip(self.names, ops, self.rows, strict=True)
        ]

    def control(self, name: str, seed: int) -> dict[str, Any]:
        """Train the same model with operations chosen otherwise."""
        ours = json.loads((self.folder / "searches" / str(seed) / "found.json").read_text())["ops"]
        if name == "random":
            ops = random_ops(ours, self.searched, self.rows, seed)
        else:
            ops = [name.removeprefix("all ")] * len(self.pairs)
        folder = self.folder / "controls" / name.replace(" ", "-") / str(seed)
        return {"name": name, **self.plain(folder, ops, seed)}

    # ---- what is said

    def record(self, rows: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
        """Return ``record.json``."""
        layout = self.data.layout
        path = self.folder / "searches" / str(self.first) / "found.json"
        found = json.loads(path.read_text(encoding="utf-8"))
        facts = {
            "pair_information": self.names,
            "most_rows": ROWS,
            "rows": self.data.info.fingerprint,
            "format": FORMAT,
        }
        known = shared_value(self.config.data, facts, self._information)
        pairs = [
            {
                **operation,
                "probability": soft,
                "searched": p in set(self.searched),
                "information": {k: v for k, v in info.items() if k not in ("a", "b")},
            }
            for p, (operation, soft, info) in enumerate(
                zip(self._operations(found["ops"]), found["probability"], known, strict=True)
            )
        ]
        return {
            "format": FORMAT,
            "kind": "interactions",
            "model": self.config.model.name,
            "config_sha256": self.config.sha256(),
            "search": self.config.search.model_dump(mode="json"),
            "fields": layout.names,
            "pairs": pairs,
            "rows": rows,
            "paired": self.paired("optinter", rows),
            "warnings": self.warnings,
        }

    def _information(self) -> list[dict[str, str | float]]:
        stream = Batches(self.data.shards, "train", BATCH, shuffle=False).epoch(0)
        return pair_information(stream, self.data.layout, self.pairs, most_rows=ROWS)
