"""Encoded rows to try functions on, and an untrained model over raw rows."""

from __future__ import annotations

import numpy as np

from ctrkit.bundle import Predictor
from ctrkit.config.files import make_config
from ctrkit.data.encode.counts import Counts
from ctrkit.data.encode.encoder import Encoded, Encoder
from ctrkit.layout import Layout, LayoutField
from ctrkit.models.build import build_model
from ctrkit.models.resolve import resolve_model

LAYOUT = Layout(
    (
        LayoutField("a", "categorical", 9),
        LayoutField("b", "categorical", 9),
        LayoutField("n", "numeric", 0),
        LayoutField("m", "multi", 9),
    )
)


def encoded_rows(rows, seed=0):
    draw = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(draw.integers(0, 4, rows))]).astype(np.int64)
    return Encoded(
        codes=draw.integers(0, 9, (rows, 2)).astype(np.uint32),
        numbers=draw.normal(size=(rows, 1)).astype(np.float32),
        bags=((draw.integers(0, 9, offsets[-1]).astype(np.uint32), offsets),),
    )


def rows_of(encoded):
    """Rows as plain tuples, to compare with by hand."""
    tokens, offsets = encoded.bags[0]
    return [
        (*codes, *numbers, tuple(tokens[offsets[n] : offsets[n + 1]]))
        for n, (codes, numbers) in enumerate(zip(encoded.codes, encoded.numbers, strict=True))
    ]


def rows_at(encoded, rows):
    """Return the rows at some positions, as an encoder would have made them."""
    tokens, offsets = encoded.bags[0]
    bags = [tokens[offsets[n] : offsets[n + 1]] for n in rows]
    ends = np.concatenate([[0], np.cumsum([len(bag) for bag in bags])]).astype(np.int64)
    joined = np.concatenate([np.empty(0, np.uint32), *bags])
    return Encoded(encoded.codes[rows], encoded.numbers[rows], ((joined, ends),))


def fresh_predictor(frame, schema, **model):
    """An untrained model over an encoder that is fitted on all rows."""
    config = make_config({"model": {"name": "autoint", **model}})
    config = config.model_copy(update={"model": resolve_model(config.model)})
    counts = Counts(schema)
    counts.update(frame)
    encoder = Encoder.fit(schema, counts)
    layout = encoder.layout()
    return Predictor(config, encoder, layout, build_model(config.model, layout, seed=0))
