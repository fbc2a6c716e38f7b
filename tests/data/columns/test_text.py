"""Categories have one canonical text, whatever the type of their column."""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from ctrkit.data.columns.text import canonical, explode, to_text, to_tokens, unify
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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3.0", "3"),
        ("3.", "3"),
        ("3.00", "3"),
        ("+3.0", "3"),
        ("-3.0", "-3"),
        ("-0.0", "0"),
        ("12345678901234567890123.0", "12345678901234567890123"),
        ("true", "1"),
        ("True", "1"),
        ("FALSE", "0"),
        ("12:30", "12:30:00"),
        ("12:30:00.000000000", "12:30:00"),
        ("12:30:00.500", "12:30:00.5"),
        ("2024-01-31T00:00:00", "2024-01-31"),
        ("2024-01-31 12:30:00", "2024-01-31T12:30:00.000000"),
        ("2024-01-31T12:30:00.000000+0100", "2024-01-31T11:30:00.000000"),
        ("2024-01-31 12:30:00.5 +01:00", "2024-01-31T11:30:00.500000"),
        ("2024-01-31 12:30 UTC", "2024-01-31T12:30:00.000000"),
        ("2024-01-31T12:30:00Z", "2024-01-31T12:30:00.000000"),
    ],
)
def test_text_of_a_number_boolean_or_time_is_the_text_of_its_value(
    text: str, expected: str
) -> None:
    assert unify(pl.Series([text, None])).to_list() == [expected, None]
    assert unify(pl.Series([expected])).to_list() == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "007",
        "007.0",
        "3.5",
        "1e5",
        "-0",
        "3",
        "",
        " 3.0",
        "3.0\n",
        "1.2.3.0",
        ".0",
        "truefalse",
        "tru",
        "25:61:00",
        "2024-13-01 00:00",
        "2024-01-31",
        "true.",
        "-",
    ],
)
def test_other_text_is_untouched(text: str) -> None:
    values = pl.Series([text, "3.0"])
    assert unify(values).to_list() == [text, "3"]
    alone = pl.Series([text])
    assert unify(alone) is alone


def test_unify_finds_few_rows_among_many_and_in_slices() -> None:
    texts = [f"{i:08x}" for i in range(40_000)]
    texts[5], texts[16_384], texts[39_999] = "True", "9.0", "12:00"
    expected = list(texts)
    expected[5], expected[16_384], expected[39_999] = "1", "9", "12:00:00"
    values = pl.concat([pl.Series(texts[:100]), pl.Series(texts[100:])])
    assert unify(values).to_list() == expected
    assert unify(values.slice(3, 39_000)).to_list() == expected[3:39_003]
    assert values.to_list() == texts  # the given column stays


def test_every_type_gives_the_text_that_its_csv_gives() -> None:
    day = dt.datetime(2024, 1, 31)
    times = pl.Series([day, day.replace(hour=12, microsecond=5), None])
    columns = {
        "boolean": pl.Series([True, False, None]),
        "float": pl.Series([3.0, -0.0, None]),
        "decimal": pl.Series([3, 0, None]).cast(pl.Decimal(12, 2)),
        "naive": times,
        "milliseconds": times.cast(pl.Datetime("ms")),
        "zoned": times.dt.replace_time_zone("Europe/Berlin"),
        "time": times.dt.time(),
        "date": times.dt.date(),
        "category": pl.Series(["3.0", "true", None], dtype=pl.Categorical),
    }
    for name, values in columns.items():
        csv = pl.read_csv(
            pl.DataFrame({"v": values, "w": 1}).write_csv().encode(), infer_schema=False
        )
        assert to_text(csv["v"]).to_list() == to_text(values).to_list(), name


def test_fractions_of_a_time_of_day_are_distinct() -> None:
    assert to_text(pl.Series([dt.time(1), dt.time(1, 0, 0, 500_000)])).n_unique() == 2


def test_decimals_beyond_64_bits_are_integers() -> None:
    assert to_text(pl.Series(["1" * 25 + ".0"]).cast(pl.Decimal(38, 1))).item() == "1" * 25


def test_tokens_are_canonical() -> None:
    lists = to_tokens(pl.Series("tags", ["3.0|true", None, ""]), MULTI)
    assert lists.to_list() == [["3", "1"], None, []]
