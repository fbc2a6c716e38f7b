"""Encoded rows to try functions on, and an untrained model over raw rows."""

from __future__ import annotations

import numpy as np

from ctrkit.bundle import Predictor
from ctrkit.config.files import make_config
from ctrkit.data.encode.counts import Counts
from ctrkit.data.encode.encoder import Encoder
from ctrkit.data.store.batch import Encoded
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
    lengths = draw.integers(0, 4, rows)
    return Encoded(
        codes=draw.integers(0, 9, (rows, 2)).astype(np.uint32),
        numbers=draw.normal(size=(rows, 1)).astype(np.float32),
        bags=((draw.integers(0, 9, lengths.sum()).astype(np.uint32), lengths),),
    )


def rows_of(encoded):
    """Rows as plain tuples, to compare with by hand."""
    tokens, lengths = encoded.bags[0]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return [
        (*codes, *numbers, tuple(tokens[offsets[n] : offsets[n + 1]]))
        for n, (codes, numbers) in enumerate(zip(encoded.codes, encoded.numbers, strict=True))
    ]


def fresh_predictor(frame, schema, **model):
    """An untrained model over an encoder that is fitted on all rows."""
    config = make_config({"model": {"name": "autoint", **model}})
    config = config.model_copy(update={"model": resolve_model(config.model)})
    counts = Counts(schema)
    counts.update(frame)
    encoder = Encoder.fit(schema, counts)
    layout = encoder.layout()
    return Predictor(config, encoder, layout, build_model(config.model, layout, seed=0))
