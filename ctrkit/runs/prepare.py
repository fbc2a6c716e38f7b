"""What is decided before the first step of a run: open choices, encoded rows, counted crosses."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import torch

from ctrkit.config.sections import RunConfig
from ctrkit.data.encode.cross_counts import count_crosses
from ctrkit.data.encode.cross_keys import FORMAT as CROSSES_FORMAT
from ctrkit.data.encode.cross_keys import load_crosses, save_crosses
from ctrkit.data.encode.encoder import Encoder
from ctrkit.data.read.sources import Source
from ctrkit.data.store.batches import Batches
from ctrkit.data.store.cache import home
from ctrkit.data.store.dataset import Dataset, EncodeOptions, prepare_dataset
from ctrkit.models.pairs import memorized_pairs
from ctrkit.models.resolve import resolve_model, uses_batch_norm
from ctrkit.rank.leaks import leak_warnings
from ctrkit.records import Progress
from ctrkit.runs.shared import shared_folder
from ctrkit.schema import Schema

logger = logging.getLogger(__name__)
COUNTED_ROWS = 65_536
"""Rows that crosses are counted of at a time."""


def resolve(config: RunConfig) -> RunConfig:
    """Decide every choice that was left open, so that the run folder states what was done."""
    model, train = resolve_model(config.model), config.train
    if train.micro_batch is None:
        on_cpu = train.device == "cpu" or not torch.cuda.is_available()
        attends = "attention" in (model.interactions or ()) and not uses_batch_norm(model)
        train = train.model_copy(update={"micro_batch": 512 if attends and on_cpu else 0})
    return config.model_copy(update={"model": model, "train": train})


def load_dataset(
    config: RunConfig, source: Source, schema: Schema, progress: Progress | None = None
) -> Dataset:
    """Return the encoded rows of a job: from the cache if they are in it, else encode them."""
    data = config.data
    return prepare_dataset(
        source,
        schema,
        EncodeOptions(
            split=data.split,
            seed=data.split_seed,
            encoder=Encoder.load(Path(data.encoder)) if data.encoder else None,
            cache=home() / "cache" if data.cache else None,
            cache_limit=data.cache_limit,
            inspect=leak_warnings,
        ),
        progress=progress,
    )


def with_crosses(config: RunConfig, dataset: Dataset) -> Dataset:
    """Return the dataset with the exact crosses that a resolved model memorizes.

    They are counted once per encoding and choice of pairs, and kept in the cache.
    """
    layout, min_count = dataset.layout, config.model.cross_min_count
    pairs = memorized_pairs(config.model, layout) if config.model.crosses == "exact" else []
    if not pairs:
        return dataset
    names = tuple((layout.names[i], layout.names[j]) for i, j in pairs)
    counted = layout.crosses
    if counted is not None and counted.pairs == names and counted.min_count == min_count:
        return dataset
    facts = {
        "crosses": names,
        "min_count": min_count,
        "rows": dataset.info.fingerprint,
        "format": CROSSES_FORMAT,
    }

    def build(folder: Path) -> None:
        logger.info("counting the crosses of %d pairs", len(pairs))
        batches = Batches(dataset.shards, "train", COUNTED_ROWS, shuffle=False).epoch(0)
        save_crosses(folder, count_crosses(batches, layout, pairs).frozen(min_count), layout)

    with shared_folder(config.data, facts, build) as folder:
        crosses = load_crosses(folder, layout)
    encoder = replace(dataset.encoder, crosses=crosses)
    return replace(dataset, encoder=encoder, layout=encoder.layout())
