"""``search features``: gates, a hardened list of values, a smaller model, and honest controls."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack, cast

import numpy as np
import polars as pl
import torch
from safetensors.torch import load_file, save_file

from ctrkit.config import FeaturesConfig, RunConfig, load_config, to_toml
from ctrkit.data.batches import Batches
from ctrkit.data.prune import prune
from ctrkit.data.sources import Source
from ctrkit.errors import ConfigError, RunFolderError, SchemaError
from ctrkit.evaluate import judge, score_batches
from ctrkit.jobs.inputs import DataOptions, PathLike, job_config, open_job
from ctrkit.jobs.training import RunResult, load_dataset, resolve, run_training
from ctrkit.metrics import paired_logloss_test
from ctrkit.models.build import build_model
from ctrkit.models.model import Model
from ctrkit.nn.gates import MOST_DENSE
from ctrkit.records import RunRecord
from ctrkit.report import summarise_feature_search, write_report
from ctrkit.schema import DROPPED, Schema
from ctrkit.search.compact import compact
from ctrkit.search.features import (
    Mask,
    best_values,
    countable,
    gated_names,
    masks,
    open_gates,
    search_values,
    traffic_counts,
)

logger = logging.getLogger(__name__)

FORMAT = 1
CONTROLS = {"none": [], "frequency": ["by frequency"],
            "default": ["all values", "by frequency"],
            "all": ["all values", "by frequency", "at random"]}  # fmt: skip
TOP = ("run.toml", "schema.toml", "encoder", "init.safetensors", "features.parquet", "run")
PARTS = (*TOP, "search.json", "record.json", "report.html", "candidates", "controls", "seeds")


@dataclass(frozen=True)
class FeatureSearch:
    """A finished search.

    Attributes:
        folder: The search folder; ``run.toml`` in it trains the winner again.
        record: What ``record.json`` holds.
        run: The winner, retrained.
    """

    folder: Path
    record: dict[str, Any]
    run: RunResult


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
) -> FeatureSearch:
    """Learn which feature values earn their row, and train the smaller model.

    Args:
        data: As of :func:`ctrkit.jobs.train`; or a ``search.toml`` with a ``[search]`` section.
        model: A preset, or a registered interaction alone.
        out: The search folder. An equal search that was cut goes on; another needs ``force``.
        target_ratio: Shares of the values to keep, in place of penalties (``search.penalty``).
        seed: Of weights and batches.
        seeds: How often the winner's search, retraining and controls are run.
        controls: ``default``: the model over all values, and a frequency cut-off of the same
            size; ``frequency``: that alone; ``all``: also values at random; ``none``.
        force: Replace the search in ``out``.
        plugins: Python files that register components.
        progress: Object with ``update(stage, done, total, text)``.
        **options: See :class:`~ctrkit.jobs.inputs.DataOptions`.

    Raises:
        ConfigError: An option is unknown or out of bounds.
        RunFolderError: ``out`` holds another search, or files of none.
    """
    if controls not in CONTROLS:
        raise ConfigError(f"controls are one of {', '.join(CONTROLS)}; got {controls!r}")
    if seeds < 1:
        raise ConfigError(f"seeds is at least 1; got {seeds}")
    given = None if data is None else Path(data)
    is_config = given is not None and given.suffix in (".toml", ".json")
    config = cast(FeaturesConfig, job_config(
        None if is_config else data, options, config=given if is_config else None, model=model,
        seed=seed, plugins=plugins, kind=FeaturesConfig,
        more={"search.target_ratio": list(target_ratio) or None},
    ))  # fmt: skip
    source, schema, warnings = open_job(config.data, options)
    if schema.label is None:
        raise SchemaError("a search needs a label: name its column with --label")
    if config.model.table == "hashed":
        raise ConfigError("gates are of values with rows of their own: set model.table = auto")
    search = _Search(config, source, schema, Path(out), seeds, controls, warnings, progress)
    search.claim(force)
    return search.run()


class _Search:
    def __init__(
        self, config: FeaturesConfig, source: Source, schema: Schema, folder: Path, seeds: int,
        controls: str, warnings: list[str], progress: Any,
    ) -> None:  # fmt: skip
        self.schema, notices = with_vocabularies(schema)
        self.warnings = [*warnings, *notices]
        plain = resolve(config.plain())
        self.config = config.model_copy(update={"model": plain.model, "train": plain.train})
        self.source, self.folder, self.progress = source, folder, progress
        self.seeds, self.controls = seeds, controls
        self.first = config.train.seed

    # ---- the folder

    def claim(self, force: bool) -> None:
        """Refuse a folder of another search or of other files; remember whose it is."""
        if self.folder.is_file():
            raise RunFolderError(f"the output {str(self.folder)!r} is a file; name a folder")
        present = sorted(p.name for p in self.folder.iterdir()) if self.folder.is_dir() else []
        foreign = [name for name in present if name not in PARTS]
        if foreign:
            raise RunFolderError(
                f"the folder {str(self.folder)!r} holds files that are no search's "
                f"({foreign[0]!r}); name another with -o"
            )
        path = self.folder / "search.json"
        identity = {
            "format": FORMAT, "config_sha256": self.config.sha256(),
            "schema": self.schema.to_toml(), "source": self.source.fingerprint(),
        }  # fmt: skip
        same = path.is_file() and json.loads(path.read_text(encoding="utf-8")) == identity
        if present and not same:
            if not force:
                raise RunFolderError(
                    f"the folder {str(self.folder)!r} holds another search; name another with -o, "
                    "or replace it with --force"
                )
            for name in present:
                place = self.folder / name
                shutil.rmtree(place) if place.is_dir() else place.unlink()
        self.folder.mkdir(parents=True, exist_ok=True)
        _write_json(path, identity)

    # ---- the search

    def run(self) -> FeatureSearch:
        """Try every penalty or ratio, choose on validation, add seeds and controls, report."""
        for warning in self.warnings:
            logger.warning(warning)
        self.data = load_dataset(self.config, self.source, self.schema, self.progress)
        search = self.config.search
        tries = [("penalty", p) for p in search.penalty]
        tries = [("ratio", r) for r in search.target_ratio] or tries
        names = {f"{kind}-{value:g}": (kind, value) for kind, value in tries}
        found = {name: self.candidate(self.folder / "candidates" / name, *one, self.first)
                 for name, one in names.items()}  # fmt: skip
        winner = min(found, key=lambda n: found[n]["validation"]["logloss"])
        rows = {"optfs": [found[winner]]}
        for seed in self._more():
            place = self.folder / "seeds" / str(seed)
            rows["optfs"].append(self.candidate(place, *names[winner], seed))
        for control in CONTROLS[self.controls]:
            rows[control] = [self.control(control, row) for row in rows["optfs"]]
        self._adopt(self.folder / "candidates" / winner)
        record = self.record(found, winner, rows)
        _write_json(self.folder / "record.json", record)
        frame = pl.read_parquet(self.folder / "features.parquet")
        write_report(summarise_feature_search(record, frame), self.folder / "report.html")
        run = self.folder / "run"
        config: RunConfig = load_config(self.folder / "run.toml")
        source, schema, _ = open_job(config.data, {})
        return FeatureSearch(self.folder, record, run_training(config, source, schema, run))

    def _adopt(self, winner: Path) -> None:
        """Put the winner on top; its run then says that it came from the ``run.toml`` there."""
        for name in TOP:
            _copy(winner / name, self.folder / name)
        config = resolve(load_config(self.folder / "run.toml"))
        run = self.folder / "run"
        (run / "config.json").write_text(config.canonical_json() + "\n", encoding="utf-8")
        record = RunRecord.load(run / "record.json")
        replace(record, config_sha256=config.sha256()).save(run / "record.json")

    def _more(self) -> range:
        return range(self.first + 1, self.first + self.seeds)

    def candidate(self, folder: Path, kind: str, value: float, seed: int) -> dict[str, Any]:
        """Search, harden, prune and retrain in one folder; what is there is not done again."""
        folder.mkdir(parents=True, exist_ok=True)
        done = folder / "found.npz"
        if not done.is_file():
            self._search(folder, kind, value, seed)
        with np.load(done) as stored:
            kept, gate = stored["kept"], stored["gate"]
            facts = {"penalty": float(stored["penalty"]), "search_s": float(stored["seconds"])}
        state = load_file(folder / "snapshot.safetensors")
        self._prune(folder, kept, seed, state)
        self.features(gate, kept).write_parquet(folder / "features.parquet")
        return {"name": folder.name, **facts, **self._train(folder, kept, seed)}

    def _counts(self) -> np.ndarray[Any, Any]:
        return traffic_counts(self.data.layout, self.data.shards.rows("train"))

    def _model(self, seed: int) -> Model:
        model = build_model(self.config.model, self.data.layout, seed=seed,
                            sparse_from=self.config.train.sparse_from)  # fmt: skip
        shards = self.data.shards
        model.start_at(shards.positives("train") / shards.rows("train"))
        return model

    def _search(self, folder: Path, kind: str, value: float, seed: int) -> None:
        shards, search = self.data.shards, self.config.search
        train = self.config.train.model_copy(update={"seed": seed})
        rows = shards.rows("train")
        batches = Batches(shards, "train", train.batch_size, shuffle=True, seed=seed,
                          window=train.shuffle_rows)  # fmt: skip

        def validate(model: Model) -> dict[str, float]:
            held = Batches(shards, "validation", train.micro_batch or 4096, shuffle=False)
            judged = judge(score_batches(model, held.epoch(0)), intervals=False)
            return {name: judged[name] for name in ("auc", "logloss")}

        start = value if kind == "penalty" else search.penalty[0]
        logger.info("searching with %s %g, seed %d", kind, value, seed)
        found = search_values(
            self._model(seed), batches, train, search, start, rows=rows,
            target=value if kind == "ratio" else None, evaluate=validate,
            folder=folder / "search", progress=self.progress,
        )  # fmt: skip
        if found.silent:
            self._warn(
                f"the gates of {', '.join(found.silent[:5])} never received a gradient: "
                "does the model read these fields?"
            )
        if found.touched_only:
            self._warn(
                f"more than {MOST_DENSE:,} values: the penalty reached those of each batch only"
            )
        save_file({k: v.contiguous() for k, v in found.snapshot.items()},
                  folder / "snapshot.safetensors")  # fmt: skip
        beside = folder / ".found.npz"
        seconds = found.fit.steps * train.batch_size / found.fit.examples_s
        with beside.open("wb") as file:
            np.savez(file, gate=found.values, kept=found.kept, penalty=found.penalty,
                     seconds=seconds)  # fmt: skip
        beside.replace(folder / "found.npz")
        shutil.rmtree(folder / "search", ignore_errors=True)

    def _warn(self, message: str) -> None:
        logger.warning(message)
        self.warnings.append(message)

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
            old = self._model(seed)
            new = build_model(self.config.model, encoder.layout(), seed=seed,
                              sparse_from=self.config.train.sparse_from)  # fmt: skip
            factor = open_gates(self.data.layout, self.config.search, 1.0, 1, 1).factor
            weights = compact(state, old, new, kept_of, factor)
            save_file({k: v.contiguous() for k, v in weights.items()},
                      folder / "init.safetensors", metadata={"format": "1"})  # fmt: skip
            init = "init.safetensors"
        config = self.config.plain()
        data = config.data.model_copy(update={"schema_path": "schema.toml", "encoder": "encoder"})
        train = config.train.model_copy(update={"seed": seed, "init": init})
        text = to_toml(config.model_copy(update={"data": data, "train": train}))
        (folder / "run.toml").write_text(text, encoding="utf-8")

    def _train(self, folder: Path, kept: Mask, seed: int) -> dict[str, Any]:
        """Train ``run.toml`` as ``ctrkit train`` would; return what a comparison needs."""
        config: RunConfig = load_config(folder / "run.toml")
        source, schema, _ = open_job(config.data, {})
        result = run_training(config, source, schema, folder / "run", progress=self.progress)
        met, counts = countable(self.data.layout), self._counts()
        record = result.record
        return {
            "seed": seed,
            "folder": str((folder / "run").relative_to(self.folder)),
            "values": int(met.sum()),
            "kept": int((kept & met).sum()),
            "ratio": float((kept & met).sum() / max(1, met.sum())),
            "traffic": float(counts[kept & met].sum() / max(1, counts[met].sum())),
            "fields": len(schema.fields),
            "parameters": record.parameters["allocated"],
            "bytes": (folder / "run" / "model.safetensors").stat().st_size,
            "train_examples_s": record.timings["train_examples_s"],
            **{s: {k: record.metrics[s][k] for k in ("auc", "logloss")}
               for s in ("validation", "test")},
        }  # fmt: skip

    def control(self, name: str, row: dict[str, Any]) -> dict[str, Any]:
        """Train the same model on values chosen otherwise, as many as the search kept."""
        seed, met = row["seed"], countable(self.data.layout)
        counts = self._counts()
        if name == "all values":
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
            frame = pl.DataFrame({
                "field": [name] * size, "value": values,
                "code": range(size) if coded else [None], "gate": gate[at], "kept": kept[at],
                "count": counts[at], "traffic": counts[at] / rows,
            }, schema={"field": pl.String, "value": pl.String, "code": pl.UInt32,
                       "gate": pl.Float32, "kept": pl.Boolean, "count": pl.Int64,
                       "traffic": pl.Float64})  # fmt: skip
            parts.append(frame.filter(pl.col("code").is_null() | (pl.col("code") != DROPPED)))
        return pl.concat(parts)

    def record(
        self, found: dict[str, dict[str, Any]], winner: str, rows: dict[str, list[dict[str, Any]]]
    ) -> dict[str, Any]:
        """Return ``record.json``."""
        tests = {
            name: [self._paired(theirs, ours)
                   for theirs, ours in zip(control, rows["optfs"], strict=True)]
            for name, control in rows.items() if name != "optfs"
        }  # fmt: skip
        return {
            "format": FORMAT, "kind": "features", "model": self.config.model.name,
            "config_sha256": self.config.sha256(), "winner": winner,
            "search": self.config.search.model_dump(mode="json"),
            "candidates": list(found.values()), "rows": rows, "paired": tests,
            "warnings": self.warnings,
            "fields_dropped": sorted(set(self.schema.names) - set(
                Schema.load(self.folder / "schema.toml").names)),
        }  # fmt: skip

    def _paired(self, theirs: dict[str, Any], ours: dict[str, Any]) -> dict[str, float]:
        """Test the search's model against a control on the same test rows (log loss)."""
        columns = ["row", "label", "logit"]
        paths = (self.folder / r["folder"] / "predictions" / "test.parquet" for r in (theirs, ours))
        a, b = (pl.read_parquet(p, columns=columns).sort("row") for p in paths)
        test = paired_logloss_test(a["label"], a["logit"], b["logit"])
        return {"difference": test.difference, "error": test.error, "p": test.p,
                "low": test.difference - 1.96 * test.error,
                "high": test.difference + 1.96 * test.error}  # fmt: skip


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


def _copy(source: Path, target: Path) -> None:
    if not source.exists():
        return
    if source.is_dir():
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


def _write_json(path: Path, data: object) -> None:
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    beside.replace(path)
