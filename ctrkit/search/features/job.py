"""``search features``: gates, a hardened list of values, a smaller model, and honest controls."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Unpack

import numpy as np
import polars as pl
import torch
from safetensors.torch import load_file, save_file

from ctrkit.config.files import to_toml
from ctrkit.data.encode.prune import prune
from ctrkit.data.read.sources import Source
from ctrkit.errors import ConfigError
from ctrkit.files import atomic_path, write_atomic, write_json
from ctrkit.models.build import build_model
from ctrkit.nn.gates.value import MOST_DENSE
from ctrkit.report import write_report
from ctrkit.runs.inputs import DataOptions, PathLike
from ctrkit.schema import DROPPED, Schema
from ctrkit.search.base import (
    FORMAT,
    Search,
    SearchJob,
    check_repeats,
    open_search,
    plain_config,
)
from ctrkit.search.features.compact import compact
from ctrkit.search.features.config import FeaturesConfig
from ctrkit.search.features.gates import (
    Mask,
    best_values,
    countable,
    gated_names,
    masks,
    open_gates,
    search_values,
    traffic_counts,
)
from ctrkit.search.features.report import summarise_feature_search

logger = logging.getLogger(__name__)
WHOLE = "all values"
CONTROLS = {
    "none": [],
    "frequency": ["by frequency"],
    "default": [WHOLE, "by frequency"],
    "all": [WHOLE, "by frequency", "at random"],
}


def search_features(
    data: PathLike | None = None,
    *,
    model: str | None = None,
    out: PathLike = "search",
    target_ratio: Sequence[float] = (),
    seed: int | None = None,
    seeds: int = 1,
    controls: str = "default",
    force: bool = False,
    plugins: Sequence[PathLike] = (),
    progress: Any = None,
    **options: Unpack[DataOptions],
) -> Search:
    """Learn which feature values earn their row, and train the smaller model.

    Args:
        data: As of :func:`ctrkit.jobs.train`; or a ``search.toml`` with a ``[search]`` section.
        model: A preset, or a registered interaction alone.
        out: The search folder. An equal search that was cut goes on; another needs ``force``.
        target_ratio: Shares of the values to keep, in place of penalties (``search.penalty``).
        seed: Of weights and batches.
        seeds: How often the winner's search, retraining and controls are run.
        controls: ``default``: the model over all values, and a frequency cut-off of the same
            size; ``frequency``: that alone; ``all``: also values at random; ``none``. Beside the
            model over all values, default penalties that drop what is of use drop nothing.
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
        FeaturesConfig,
        model=model,
        seed=seed,
        plugins=plugins,
        more={"search.target_ratio": list(target_ratio) or None},
    )
    if config.model.table == "hashed":
        raise ConfigError("gates are of values with rows of their own: set model.table = auto")
    search = _Search(config, source, schema, Path(out), seeds, controls, warnings, progress)
    search.claim(force)
    return search.run()


class _Search(SearchJob):
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

    def __init__(
        self,
        config: FeaturesConfig,
        source: Source,
        schema: Schema,
        folder: Path,
        seeds: int,
        controls: str,
        warnings: list[str],
        progress: Any,
    ) -> None:
        schema, notices = with_vocabularies(schema)
        super().__init__(config, source, schema, folder, [*warnings, *notices], progress)
        self.seeds, self.controls = seeds, controls

    # ---- the search

    def run(self) -> Search:
        """Try every penalty or ratio, choose on validation, add seeds and controls, report."""
        self.load()
        search = self.config.search
        tries = [("penalty", p) for p in search.penalty]
        tries = [("ratio", r) for r in search.target_ratio] or tries
        names = {f"{kind}-{value:g}": (kind, value) for kind, value in tries}
        found = {
            name: self.candidate(self.folder / "candidates" / name, *one, self.first)
            for name, one in names.items()
        }
        winner = min(found, key=lambda n: found[n]["validation"]["logloss"])
        chosen = self.folder / "candidates" / winner
        if self._needs_all(found[winner]):
            chosen, found[WHOLE] = self._keep_all(chosen)
            winner = WHOLE
        rows = {"optfs": [found[winner]]}
        for seed in self.seeds_from(self.seeds):
            place = self.folder / "seeds" / str(seed)
            more = (
                self.control(WHOLE, {"seed": seed})
                if winner == WHOLE
                else self.candidate(place, *names[winner], seed)
            )
            rows["optfs"].append(more)
        for control in CONTROLS[self.controls]:
            rows[control] = [self.control(control, row) for row in rows["optfs"]]
        self._warn_of_loss(rows)
        self.adopt(chosen)
        record = self.record(found, winner, rows)
        write_json(self.folder / "record.json", record)
        frame = pl.read_parquet(self.folder / "features.parquet")
        write_report(summarise_feature_search(record, frame), self.folder / "report.html")
        return self.finished(record)

    def _needs_all(self, best: dict[str, Any]) -> bool:
        """Say whether what the default penalties dropped was surely of use, by validation.

        Who names a penalty, a ratio or a preset gets what it keeps.
        """
        search = self.config.search
        if search.target_ratio or "penalty" in search.model_fields_set:
            return False
        if WHOLE not in CONTROLS[self.controls]:
            return False
        whole = self.control(WHOLE, best)
        return self.prefers(whole, best)

    def _keep_all(self, best: Path) -> tuple[Path, dict[str, Any]]:
        """Make the model over all values the winner; its gates are those of a candidate."""
        row = self.control(WHOLE, {"seed": self.first})
        folder = (self.folder / row["folder"]).parent
        with np.load(best / "found.npz") as stored:
            gate = stored["gate"]
        with atomic_path(folder / "features.parquet") as beside:
            self.features(gate, np.ones(len(gate), bool)).write_parquet(beside)
        self.warn(
            "nothing is dropped: on validation the model over all values is surely better than "
            "those that the default penalties left; for a smaller one name --target-ratio"
        )
        return folder, {**row, "penalty": 0.0, "search_s": 0.0}

    def _warn_of_loss(self, rows: dict[str, list[dict[str, Any]]]) -> None:
        """Say where validation prefers the model over all values."""
        if "all values" in rows:
            ours, whole = (rows[n][0]["validation"]["logloss"] for n in ("optfs", "all values"))
            if ours > whole:
                self.warn(
                    f"pruning costs quality here: on validation all values have a log loss of "
                    f"{whole:.5f}, the search {ours:.5f}; keep them all, or more by a lower "
                    "search.penalty or a higher --target-ratio"
                )

    def candidate(self, folder: Path, kind: str, value: float, seed: int) -> dict[str, Any]:
        """Search, harden, prune and retrain in one folder; what is there is not done again."""
        folder.mkdir(parents=True, exist_ok=True)
        done = folder / "found.npz"
        if not done.is_file():
            self._search(folder, kind, value, seed)
        with np.load(done) as stored:
            kept, gate = stored["kept"], stored["gate"]
            facts = {"penalty": float(stored["penalty"]), "search_s": float(stored["seconds"])}
            self._notices(stored["silent"].tolist(), bool(stored["touched_only"]))
        state = load_file(folder / "snapshot.safetensors")
        self._prune(folder, kept, seed, state)
        with atomic_path(folder / "features.parquet") as beside:
            self.features(gate, kept).write_parquet(beside)
        return {"name": folder.name, **facts, **self._train(folder, kept, seed)}

    def _counts(self) -> np.ndarray[Any, Any]:
        return traffic_counts(self.data.layout, self.data.shards.rows("train"))

    def _search(self, folder: Path, kind: str, value: float, seed: int) -> None:
        search, train = self.config.search, self.seeded(seed)
        rows = self.data.shards.rows("train")
        start = value if kind == "penalty" else search.penalty[0]
        logger.info("searching with %s %g, seed %d", kind, value, seed)
        found = search_values(
            self.model(seed),
            self.batches(train),
            train,
            search,
            start,
            rows=rows,
            target=value if kind == "ratio" else None,
            evaluate=self.validation(train),
            folder=folder / "search",
            progress=self.progress,
        )
        with atomic_path(folder / "snapshot.safetensors") as beside:
            save_file({k: v.contiguous() for k, v in found.snapshot.items()}, beside)
        seconds = found.fit.steps * train.batch_size / found.fit.examples_s
        with atomic_path(folder / "found.npz") as beside, beside.open("wb") as file:
            np.savez(
                file,
                gate=found.values,
                kept=found.kept,
                penalty=found.penalty,
                seconds=seconds,
                silent=np.array(found.silent, np.str_),
                touched_only=found.touched_only,
            )
        shutil.rmtree(folder / "search", ignore_errors=True)

    def _notices(self, silent: list[str], touched_only: bool) -> None:
        """Say once what a search noticed, also where it was done before."""
        if silent:
            self.warn(
                f"the gates of {', '.join(silent[:5])} never received a gradient: "
                "does the model read these fields?"
            )
        if touched_only:
            self.warn(
                f"more than {MOST_DENSE:,} values: the penalty reached those of each batch only"
            )

    def _prune(
        self, folder: Path, kept: Mask, seed: int, state: dict[str, torch.Tensor] | None
    ) -> None:
        """Write the pruned encoder, its schema, the rewound weights and ``run.toml``."""
        kept_of = masks(self.data.layout, kept)
        encoder = prune(self.data.encoder, kept_of)
        encoder.save(folder / "encoder")
        encoder.schema.save(folder / "schema.toml")
        init = None
        if state is not None and self.config.search.init == "rewind":
            old = self.model(seed)
            new = build_model(
                self.config.model,
                encoder.layout(),
                seed=seed,
                sparse_from=self.config.train.sparse_from,
            )
            factor = open_gates(self.data.layout, self.config.search, 1.0, 1, 1).factor
            weights = compact(state, old, new, kept_of, factor)
            with atomic_path(folder / "init.safetensors") as beside:
                tensors = {k: v.contiguous() for k, v in weights.items()}
                save_file(tensors, beside, metadata={"format": "1"})
            init = "init.safetensors"
        config = plain_config(self.config)
        data = config.data.model_copy(update={"schema_path": "schema.toml", "encoder": "encoder"})
        train = config.train.model_copy(update={"seed": seed, "init": init})
        text = to_toml(config.model_copy(update={"data": data, "train": train}))
        write_atomic(folder / "run.toml", text)

    def _train(self, folder: Path, kept: Mask, seed: int) -> dict[str, Any]:
        """Train ``run.toml``; return what a comparison needs."""
        met, counts = countable(self.data.layout), self._counts()
        return {
            "values": int(met.sum()),
            "kept": int((kept & met).sum()),
            "ratio": float((kept & met).sum() / max(1, met.sum())),
            "traffic": float(counts[kept & met].sum() / max(1, counts[met].sum())),
            **self.train(folder, seed),
        }

    def control(self, name: str, row: dict[str, Any]) -> dict[str, Any]:
        """Train the same model on values chosen otherwise, as many as the search kept."""
        seed, met = row["seed"], countable(self.data.layout)
        counts = self._counts()
        if row.get("name") == WHOLE:  # any other choice of all values is the same one
            return {**row, "name": name}
        if name == WHOLE:
            kept = np.ones(len(met), bool)
        else:
            draw = np.random.default_rng(seed).random(len(met))
            score = draw if name == "at random" else counts.astype(np.float64)
            kept = best_values(np.where(met, score, -np.inf), row["kept"])
        folder = self.folder / "controls" / name.replace(" ", "-") / str(seed)
        folder.mkdir(parents=True, exist_ok=True)
        self._prune(folder, kept, seed, None)
        return {"name": name, **self._train(folder, kept, seed)}

    # ---- what is said

    def features(self, gate: np.ndarray[Any, Any], kept: Mask) -> pl.DataFrame:
        """Return ``features.parquet``: field, value, code, gate, kept, count, traffic."""
        layout = self.data.layout
        counts, rows = self._counts(), self.data.shards.rows("train")
        names, parts, start = gated_names(layout), [], 0
        for name, size in names:
            at = slice(start, start + size)
            start += size
            coded = name in layout.counts
            values = self.data.encoder.values(name) if coded else [None]
            frame = pl.DataFrame(
                {
                    "field": [name] * size,
                    "value": values,
                    "code": range(size) if coded else [None],
                    "gate": gate[at],
                    "kept": kept[at],
                    "count": counts[at],
                    "traffic": counts[at] / rows,
                },
                schema={
                    "field": pl.String,
                    "value": pl.String,
                    "code": pl.UInt32,
                    "gate": pl.Float32,
                    "kept": pl.Boolean,
                    "count": pl.Int64,
                    "traffic": pl.Float64,
                },
            )
            parts.append(frame.filter(pl.col("code").is_null() | (pl.col("code") != DROPPED)))
        return pl.concat(parts)

    def record(
        self, found: dict[str, dict[str, Any]], winner: str, rows: dict[str, list[dict[str, Any]]]
    ) -> dict[str, Any]:
        """Return ``record.json``."""
        return {
            "format": FORMAT,
            "kind": "features",
            "model": self.config.model.name,
            "config_sha256": self.config.sha256(),
            "winner": winner,
            "search": self.config.search.model_dump(mode="json"),
            "candidates": list(found.values()),
            "rows": rows,
            "paired": self.paired("optfs", rows),
            "warnings": self.warnings,
            "fields_dropped": sorted(
                set(self.schema.names) - set(Schema.load(self.folder / "schema.toml").names)
            ),
        }


def with_vocabularies(schema: Schema) -> tuple[Schema, list[str]]:
    """Return the schema with a vocabulary for every category, for gates are of values."""
    coded = [f for f in schema.fields if f.kind != "numeric"]
    hashed = [f.name for f in coded if f.encoding == "hash"]
    notices = [
        f"field {name!r} is encoded with a vocabulary for the search: gates are of values"
        for name in hashed
    ]
    if schema.crosses:
        notices.append("crosses are hashed and have no gates: the search leaves them as they are")
    fields = tuple(
        replace(f, encoding="vocabulary") if f.kind != "numeric" else f for f in schema.fields
    )
    return replace(schema, fields=fields), notices
