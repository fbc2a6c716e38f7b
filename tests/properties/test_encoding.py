"""Codes and numbers equal those of an encoder in plain Python, or one line refuses a value."""

from __future__ import annotations

import math

import numpy as np
import plain_encoder as plain
import polars as pl
import pytest
from awkward_frames import columns, names
from for_all import for_all
from hypothesis import strategies as st

from ctrkit.data.encode.counts import Counts
from ctrkit.data.encode.encoder import Encoder
from ctrkit.errors import DataError
from ctrkit.schema import Field, Schema


@st.composite
def train_and_score(draw: st.DrawFn) -> tuple[pl.Series, pl.Series]:
    """Return a column of training and one of scoring; its type may have changed."""
    name = draw(names())
    train = draw(columns(draw(st.sampled_from([0, 1, 6, 12]))))
    score = draw(columns(draw(st.sampled_from([0, 1, 6]))))
    if draw(st.booleans()):
        score = train.sample(min(4, len(train)), seed=0, shuffle=True)
    return train.alias(name), score.alias(name)


def _fit(field: Field, train: pl.Series) -> Encoder:
    schema = Schema((field,))
    counts = Counts(schema)
    counts.update(train.to_frame())
    return Encoder.fit(schema, counts)


_FITS = {plain.text: plain.is_category, plain.tokens: plain.is_bag, plain.number: plain.is_number}


def _plain(read, values: pl.Series) -> list | None:
    """Return the values as plain Python reads them; None where it refuses one, or their type."""
    if not _FITS[read](values.dtype):
        return None
    try:
        return [read(value, values.dtype) for value in values.to_list()]
    except plain.RefusedError:
        return None


def _refused(field: Field, train: pl.Series, score: pl.Series, read) -> bool:
    """Check that what plain Python refuses is refused with the column's name."""
    for values in (train, score):
        if _plain(read, values) is None:
            with pytest.raises(DataError) as caught:
                _fit(field, train).encode(score.to_frame())
            assert "\n" not in str(caught.value)
            assert repr(field.name)[1:-1].split("\\")[0] in str(caught.value)
            return True
    return False


@for_all(25, 280, pair=train_and_score(), min_count=st.integers(1, 3))
def test_categories_have_the_codes_of_plain_python(pair, min_count):
    train, score = pair
    field = Field(train.name, "categorical", encoding="vocabulary", min_count=min_count)
    if _refused(field, train, score, plain.text):
        return
    codes = plain.vocabulary(_plain(plain.text, train), min_count)
    expected = [plain.code(value, codes) for value in _plain(plain.text, score)]
    assert _fit(field, train).encode(score.to_frame()).codes[:, 0].tolist() == expected


@for_all(20, 200, pair=train_and_score(), min_count=st.integers(1, 3))
def test_tokens_have_the_codes_of_plain_python(pair, min_count):
    train, score = pair
    field = Field(train.name, "multi", encoding="vocabulary", min_count=min_count)
    if _refused(field, train, score, plain.tokens):
        return
    lists = _plain(plain.tokens, train)
    codes = plain.vocabulary([t for row in lists if row is not None for t in row], min_count)
    expected = [
        [plain.MISSING] if row is None else [plain.code(t, codes) for t in row]
        for row in _plain(plain.tokens, score)
    ]
    flat, lengths = _fit(field, train).encode(score.to_frame()).bags[0]
    rows = np.split(flat, np.cumsum(lengths)[:-1]) if len(lengths) else []
    assert [row.tolist() for row in rows] == expected


@for_all(25, 700, pair=train_and_score(), transform=st.sampled_from(["raw", "standard", "log2"]))
def test_numbers_are_those_of_plain_python(pair, transform):
    train, score = pair
    field = Field(train.name, "numeric", encoding="raw", transform=transform)
    if _refused(field, train, score, plain.number):
        return
    encoder = _fit(field, train)
    state, expected = encoder.fields[field.name].state, []
    assert math.isfinite(state.mean)
    assert math.isfinite(state.sd)
    for z in _plain(plain.number, score):
        if transform == "standard":
            z = (z - state.mean) / state.sd if state.sd > 0 else z * 0.0
        elif transform == "log2" and z > 2:
            z = math.floor(math.log(z) ** 2)
        expected.append(min(max(z, -3.4028234e38), 3.4028234e38) if z == z else z)
    found = encoder.encode(score.to_frame()).numbers[:, 0]
    np.testing.assert_allclose(found, np.array(expected), rtol=1e-6)
