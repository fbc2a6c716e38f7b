import numpy as np
import polars as pl
import pytest

from ctrkit.data.encode.counts import Counts
from ctrkit.data.encode.encoder import Encoder
from ctrkit.errors import DataError, RunFolderError, SchemaError
from ctrkit.schema import Cross, Field, Schema

SCHEMA = Schema(
    (
        Field("a", "categorical"),
        Field("h", "categorical", encoding="hash"),
        Field("q", "numeric", encoding="buckets", transform="quantile", bins=4),
        Field("x", "numeric"),
        Field("m", "multi", min_count=1),
    ),
    crosses=(Cross("ah", ("a", "h")),),
)
FRAME = pl.DataFrame(
    {
        "a": ["y", "y", "x", "x", "z", None],
        "h": [1, 2, 3, 1, 1, None],
        "q": [1, 2, 3, 4, 5, None],
        "x": ["1", "2", "3", "", None, "2"],
        "m": ["u|v", "", None, "u", "u", "u"],
    }
)


@pytest.fixture
def encoder():
    counts = Counts(SCHEMA)
    counts.update(FRAME)
    return Encoder.fit(SCHEMA, counts)


def test_codes_fall_by_count_then_by_bytes(encoder):
    encoded = encoder.encode(FRAME)
    assert encoded.codes[:, 0].tolist() == [4, 4, 3, 3, 1, 0]
    assert encoder.layout().names == ["a", "q", "h", "ah", "x", "m"] or encoder.layout().names == [
        "a",
        "h",
        "q",
        "ah",
        "x",
        "m",
    ]
    tokens, lengths = encoded.bags[0]
    assert tokens.tolist() == [3, 4, 0, 3, 3, 3]
    assert lengths.tolist() == [2, 0, 1, 1, 1, 1]
    assert np.isnan(encoded.numbers[3:5]).all()
    assert encoder.layout().counts["a"].tolist() == [1, 1, 0, 2, 2]


def test_saved_again_it_has_the_same_bytes(encoder, tmp_path):
    encoder.save(tmp_path / "one")
    loaded = Encoder.load(tmp_path / "one")
    assert loaded == encoder
    loaded.save(tmp_path / "two")
    for path in (tmp_path / "one").rglob("*.*"):
        again = tmp_path / "two" / path.relative_to(tmp_path / "one")
        assert path.read_bytes() == again.read_bytes()
    text = (tmp_path / "two/encoder.json").read_text().replace('"format": 1', '"format": 9')
    (tmp_path / "two/encoder.json").write_text(text)
    (tmp_path / "two/checksums.json").unlink()
    with pytest.raises(RunFolderError, match="format 9"):
        Encoder.load(tmp_path / "two")


def test_absent_columns_and_no_rows(encoder):
    assert (encoder.encode(pl.DataFrame({"zzz": [1]})).codes == 0).all()
    assert encoder.encode(FRAME[:0]).codes.shape == (0, 4)
    with pytest.raises(DataError, match="no column"):
        encoder.encode(FRAME.drop("a"), strict=True)


def test_rows_encode_alone_as_together(encoder):
    together = encoder.encode(FRAME).codes
    alone = np.concatenate([encoder.encode(FRAME[i : i + 1]).codes for i in range(6)])
    assert (together == alone).all()


def _fitted(frame, *fields, crosses=()):
    schema = Schema(fields, crosses=crosses)
    counts = Counts(schema)
    counts.update(frame)
    return Encoder.fit(schema, counts)


@pytest.mark.parametrize(
    "same",
    [
        pl.Series(["1", "20", None, "1"]),
        pl.Series(["1", "20", None, "1"], dtype=pl.Categorical),
        pl.Series(["1", "20", None, "1"], dtype=pl.Enum(["20", "1"])),
        pl.Series([1, 20, None, 1], dtype=pl.Int8),
        pl.Series([1, 20, None, 1], dtype=pl.UInt64),
        pl.Series([1.0, 20.0, None, 1.0]),  # what pandas makes of integers with a gap
        pl.Series([1.0, 20.0, float("nan"), 1.0], dtype=pl.Float32),
        pl.Series(["1.00", "20.00", None, "1.00"]).cast(pl.Decimal(10, 2)),
    ],
    ids=lambda s: str(s.dtype),
)
def test_other_types_of_the_same_ids_have_the_same_codes(same):
    text = pl.DataFrame({"a": ["1", "20", "20", "20"]})
    encoder = _fitted(text, Field("a", "categorical", min_count=1))
    hashed = _fitted(text, Field("a", "categorical", encoding="hash"))
    frame = pl.DataFrame({"a": same})
    assert encoder.encode(frame).codes[:, 0].tolist() == [4, 3, 0, 4]
    expected = hashed.encode(pl.DataFrame({"a": ["1", "20", None, "1"]})).codes
    np.testing.assert_array_equal(hashed.encode(frame).codes, expected)
    again = _fitted(frame, Field("a", "categorical", min_count=1))
    assert again.values("a")[3:] == ["1", "20"]


@pytest.mark.parametrize(
    "values", [[1.5], [1e300], pl.Series(["1.25"]).cast(pl.Decimal(10, 2))], ids=str
)
def test_a_fraction_is_refused_as_a_category(values):
    encoder = _fitted(pl.DataFrame({"a": ["1"]}), Field("a", "categorical"))
    with pytest.raises(DataError, match=r"column 'a'.*whole number"):
        encoder.encode(pl.DataFrame({"a": values}))


def test_a_cross_mixes_the_hashes_of_its_members():
    def mix(z):
        mask = 2**64 - 1
        z = (z + 0x9E3779B97F4A7C15) & mask
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 & mask
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB & mask
        return z ^ (z >> 31)

    frame = pl.DataFrame({"a": ["abc", None], "b": ["-1", "-1"]})
    fields = (Field("a", "categorical"), Field("b", "categorical"))
    encoder = _fitted(frame, *fields, crosses=(Cross("ab", ("a", "b")), Cross("ba", ("b", "a"))))
    a, b = 0x44BC2CF5AD770999, 0x3D62C7C8A7A6E2D8  # xxhash64 of "abc" and of "-1"
    codes = encoder.encode(frame).codes[:, 2:]
    fold = [3 + mix(mix(x) ^ y) % (2**32 - 3) for x, y in ((a, b), (b, a))]
    assert codes.tolist() == [fold, [0, 0]]
    assert fold[0] != fold[1]


def test_a_cross_of_a_real_number_is_refused():
    fields = (Field("a", "categorical"), Field("x", "numeric"))
    with pytest.raises(SchemaError, match=r"'ax'.*'x' is numeric"):
        _fitted(pl.DataFrame({"a": ["u"], "x": [1]}), *fields, crosses=(Cross("ax", ("a", "x")),))


def test_tokens_are_hashed_like_values():
    frame = pl.DataFrame({"m": [["abc", None, "-1"], [], None], "a": ["abc", "-1", None]})
    fields = (Field("m", "multi", encoding="hash"), Field("a", "categorical", encoding="hash"))
    encoded = _fitted(frame, *fields).encode(frame)
    abc, minus, missing = encoded.codes[:, 0].tolist()
    tokens, lengths = encoded.bags[0]
    assert tokens.tolist() == [abc, missing, minus, missing]
    assert lengths.tolist() == [3, 0, 1]


def test_lists_of_numbers_and_split_text_are_the_same_tokens():
    field = Field("m", "multi", min_count=1)
    encoder = _fitted(pl.DataFrame({"m": ["1|2", "2", "", None]}), field)
    one = encoder.encode(pl.DataFrame({"m": ["1|2", "2", "", None]})).bags[0]
    two = encoder.encode(pl.DataFrame({"m": [[1, 2], [2], [], None]})).bags[0]
    for left, right in zip(one, two, strict=True):
        np.testing.assert_array_equal(left, right)


def test_frequent_values_come_first_and_ties_are_ordered_by_bytes():
    frame = pl.DataFrame({"a": ["é", "z", "Z", "z", "aa", "é"]})
    encoder = _fitted(frame, Field("a", "categorical", min_count=1))
    names = ["<missing>", "<unseen>", "<dropped>", "z", "é", "Z", "aa"]
    assert encoder.values("a") == names
    assert encoder.encode(pl.DataFrame({"a": ["", "aa", "zz"]})).codes[:, 0].tolist() == [1, 6, 1]


def test_too_many_values_are_hashed():
    frame = pl.DataFrame({"a": ["u", "v", "w"]})
    encoder = _fitted(frame, Field("a", "categorical", min_count=1, max_rows=2))
    assert encoder.layout().fields[0].hashed
    with pytest.raises(SchemaError, match="no vocabulary"):
        encoder.values("a")
    kept = Field("a", "categorical", "vocabulary", min_count=1, max_rows=2)
    assert _fitted(frame, kept).layout().fields[0].rows == 6


def test_missing_optional_columns_are_all_missing(encoder):
    encoded = encoder.encode(pl.DataFrame({"a": ["x", "y"]}))
    names = encoder.layout().names
    assert encoded.codes[:, names.index("a")].tolist() == [3, 4]
    assert encoded.codes[:, names.index("ah")].tolist() == [0, 0]
    assert np.isnan(encoded.numbers).all()
    assert encoded.bags[0][0].tolist() == [0, 0]
    assert encoded.bags[0][1].tolist() == [1, 1]
