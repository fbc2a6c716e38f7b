"""Equal identifiers have equal hashes, whatever the type of their column."""

from __future__ import annotations

import polars as pl
import pytest

from ctrkit.data.columns.groups import NO_GROUP, group_array, hash_ids
from ctrkit.errors import DataError
from ctrkit.schema import Schema

SCHEMA = Schema((), group="g")
TEXT = pl.Series("g", ["3", "12", None])


@pytest.mark.parametrize(
    "values",
    [
        pl.Series("g", [3, 12, None]),
        pl.Series("g", [3.0, 12.0, float("nan")]),
        pl.Series("g", [3.0, 12.0, None], dtype=pl.Float32),
        pl.Series("g", ["3", "12", None], dtype=pl.Categorical),
        pl.Series("g", [3, 12, None]).cast(pl.Decimal(9, 1)),
    ],
)
def test_the_type_of_the_column_does_not_change_the_hash(values: pl.Series) -> None:
    assert hash_ids(values).to_list() == hash_ids(TEXT).to_list()
    assert hash_ids(values, seed=5).to_list() != hash_ids(TEXT).to_list()


def test_missing_groups_form_one_group() -> None:
    groups = group_array(TEXT.to_frame(), SCHEMA)
    assert groups is not None
    assert groups[2] == NO_GROUP
    assert groups[0] != NO_GROUP


def test_no_groups_where_none_are_declared_or_the_column_is_absent() -> None:
    assert group_array(TEXT.to_frame(), Schema(())) is None
    assert group_array(pl.DataFrame({"x": [1]}), SCHEMA) is None
    empty = group_array(TEXT.to_frame().head(0), SCHEMA)
    assert empty is not None
    assert empty.shape == (0,)


def test_fractions_are_refused() -> None:
    with pytest.raises(DataError, match=r"'g' must hold text or whole numbers; got 0\.5"):
        hash_ids(pl.Series("g", [1.0, 0.5]))
