import numpy as np
import polars as pl
import pytest

from ctrkit.data.counts import Counts
from ctrkit.data.encoder import Encoder
from ctrkit.errors import DataError, RunFolderError
from ctrkit.schema import Cross, Field, Schema

SCHEMA = Schema(
    (Field("a", "categorical"), Field("h", "categorical", encoding="hash"),
     Field("q", "numeric", encoding="buckets", transform="quantile", bins=4),
     Field("x", "numeric"), Field("m", "multi", min_count=1)),
    crosses=(Cross("ah", ("a", "h")),),
)  # fmt: skip
FRAME = pl.DataFrame({
    "a": ["y", "y", "x", "x", "z", None], "h": [1, 2, 3, 1, 1, None],
    "q": [1, 2, 3, 4, 5, None], "x": ["1", "2", "3", "", None, "2"],
    "m": ["u|v", "", None, "u", "u", "u"],
})  # fmt: skip


@pytest.fixture
def encoder():
    counts = Counts(SCHEMA)
    counts.update(FRAME)
    return Encoder.fit(SCHEMA, counts)


def test_codes_fall_by_count_then_by_bytes(encoder):
    encoded = encoder.encode(FRAME)
    assert encoded.codes[:, 0].tolist() == [4, 4, 3, 3, 1, 0]
    assert encoder.layout().names == ["a", "q", "h", "ah", "x", "m"] or encoder.layout().names == [
        "a", "h", "q", "ah", "x", "m"]  # fmt: skip
    tokens, offsets = encoded.bags[0]
    assert tokens.tolist() == [3, 4, 0, 3, 3, 3]
    assert offsets.tolist() == [0, 2, 2, 3, 4, 5, 6]
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
