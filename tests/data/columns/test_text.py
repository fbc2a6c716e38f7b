"""Categories have one canonical text, whatever the type of their column."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from ctrkit.data.columns.text import canonical, explode, to_text, to_tokens
from ctrkit.errors import DataError
from ctrkit.schema import Field

MULTI = Field("tags", "multi", separator="|")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        (pl.Series([2**53 + 1, -1, None]), ["9007199254740993", "-1", None]),
        (pl.Series([True, False]), ["1", "0"]),
        (pl.Series(["007", "7"]), ["007", "7"]),
        (pl.Series([dt.date(2026, 1, 2)]), ["2026-01-02"]),
        (pl.Series(["b", "a"], dtype=pl.Categorical), ["b", "a"]),
        (pl.Series([None, None]), [None, None]),
    ],
)
def test_canonical_text(values: pl.Series, text: list[str | None]) -> None:
    assert canonical(values).to_list() == text


def test_the_unit_of_a_time_does_not_change_its_text() -> None:
    instant = pl.Series([dt.datetime(2026, 1, 2, 3, 4, 5)])
    texts = [canonical(instant.cast(pl.Datetime(unit))).item() for unit in ("ms", "us", "ns")]
    assert len(set(texts)) == 1


def test_floats_are_refused() -> None:
    with pytest.raises(DataError, match="got Float64: declare it numeric"):
        canonical(pl.Series("price", [1.0]))


def test_whole_floats_and_decimals_are_integers() -> None:
    assert to_text(pl.Series([3.0, float("nan"), None])).to_list() == ["3", None, None]
    assert to_text(pl.Series([3, None]).cast(pl.Decimal(9, 2))).to_list() == ["3", None]
    with pytest.raises(DataError, match=r"'price' must hold text or whole numbers; got 0\.5"):
        to_text(pl.Series("price", [1.0, 0.5]))
    with pytest.raises(DataError, match="whole numbers; got 1e"):
        to_text(pl.Series("price", [1e30]))


@pytest.mark.parametrize(
    ("values", "tokens"),
    [
        (pl.Series(["a|b", "", None, "c"]), [["a", "b"], [], None, ["c"]]),
        (pl.Series([["a", None], [], None]), [["a", None], [], None]),
        (pl.Series([[1, 2], [], None, [3]]), [["1", "2"], [], None, ["3"]]),
        (pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int8, 2)), [["1", "2"], ["3", "4"]]),
        (pl.Series([7, None]), [["7"], None]),
        (pl.Series([], dtype=pl.String), []),
        (pl.Series([], dtype=pl.List(pl.Int64)), []),
    ],
)
def test_tokens_of_lists_and_of_text(
    values: pl.Series, tokens: list[list[str | None] | None]
) -> None:
    assert to_tokens(values.alias("tags"), MULTI).to_list() == tokens


def test_explode_gives_lengths_and_tokens_in_order() -> None:
    lengths, tokens = explode(pl.Series([["a", "b"], [], None, ["c"]]))
    assert lengths.tolist() == [2, 0, 0, 1]
    assert tokens.to_list() == ["a", "b", "c"]
