"""Encoders without the values that a selection dropped."""

import numpy as np
import polars as pl
import pytest

from ctrkit.data.encode.counts import Counts
from ctrkit.data.encode.encoder import Encoder
from ctrkit.data.encode.field import kept_codes
from ctrkit.data.encode.prune import prune
from ctrkit.errors import ConfigError
from ctrkit.schema import Cross, Field, Schema

FRAME = pl.DataFrame(
    {
        "c": ["a", "a", "a", "b", "b", "c", None, "rare"],
        "q": [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, None],
        "x": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],
        "m": [["u", "v"], ["u"], [], None, ["v", "w"], ["w"], ["w"], ["u"]],
    }
)
FIELDS = (
    Field("c", "categorical", encoding="vocabulary", min_count=1),
    Field("q", "numeric", transform="quantile", bins=4),
    Field("x", "numeric"),
    Field("m", "multi", encoding="vocabulary", min_count=1),
)


def fitted(*crosses: Cross) -> Encoder:
    schema = Schema(FIELDS, crosses=crosses)
    counts = Counts(schema)
    counts.update(FRAME)
    return Encoder.fit(schema, counts)


def everything(encoder: Encoder) -> dict[str, np.ndarray]:
    kept = {f.name: np.ones(f.rows, bool) for f in encoder.layout().fields if f.kind != "numeric"}
    return kept | {"x": np.ones(1, bool)}


def test_dropped_values_are_code_two_and_kept_ones_move_up(tmp_path):
    whole = fitted()
    kept = everything(whole)
    assert whole.values("c")[3:] == ["a", "b", "c", "rare"]
    kept["c"][[4, 6]] = False  # b, rare
    small = prune(whole, kept)
    small.save(tmp_path)
    for encoder in (small, Encoder.load(tmp_path)):
        assert encoder.values("c")[3:] == ["a", "c"]
        codes = encoder.encode(FRAME).codes[:, 0]
        assert codes.tolist() == [3, 3, 3, 2, 2, 4, 0, 2]
        new = encoder.encode(pl.DataFrame({"c": ["never seen", None]})).codes[:, 0]
        assert new.tolist() == [1, 0]
        layout = encoder.layout()
        assert layout.fields[0].rows == 5
        assert layout.counts["c"].tolist() == [1, 0, 3, 3, 1]
    assert kept_codes(kept["c"]).tolist() == [0, 1, 2, 3, 5]


def test_no_hashes_are_kept_where_unseen_values_are_dropped():
    whole = fitted()
    kept = everything(whole)
    kept["c"][[0, 1, 4]] = False  # missing, unseen, b
    small = prune(whole, kept)
    assert small.fields["c"].state.dropped == ()
    frame = pl.DataFrame({"c": ["never seen", None, "b", "a"]})
    assert small.encode(frame).codes[:, 0].tolist() == [2, 2, 2, 3]


def test_buckets_and_tokens_are_pruned_too(tmp_path):
    whole = fitted()
    kept = everything(whole)
    before = whole.encode(FRAME)
    kept["q"][4] = False
    token = whole.values("m").index("v")
    kept["m"][token] = False
    small = prune(whole, kept)
    small.save(tmp_path)
    after = Encoder.load(tmp_path).encode(FRAME)
    again = np.full(len(kept["q"]), 2)
    again[kept_codes(kept["q"])] = np.arange(kept["q"].sum())
    assert after.codes[:, 1].tolist() == again[before.codes[:, 1]].tolist()
    assert len(small.values("q")) == len(whole.values("q")) - 1
    (tokens, lengths), (tokens2, lengths2) = before.bags[0], after.bags[0]
    assert lengths.tolist() == lengths2.tolist()  # a dropped token stays in the bag
    assert (tokens2 == 2).tolist() == (tokens == token).tolist()


def test_fields_without_kept_values_are_dropped_but_not_all_fields():
    whole = fitted()
    kept = everything(whole)
    kept["c"][:] = False
    kept["x"][:] = False
    small = prune(whole, kept)
    assert small.schema.names == ["q", "m"]
    assert small.encode(FRAME).codes.shape == (8, 1)
    none = {name: np.zeros_like(mask) for name, mask in kept.items()}
    with pytest.raises(ConfigError, match="every value of every field"):
        prune(whole, none)


def test_members_of_a_cross_are_kept():
    whole = fitted(Cross("c x q", ("c", "q")))
    kept = everything(whole)
    kept["c"][:] = False
    kept.pop("c x q")
    small = prune(whole, kept)
    assert "c" in small.schema.names
    a, b = whole.encode(FRAME).codes[:, -1], small.encode(FRAME).codes[:, -1]
    assert a.tolist() == b.tolist()
    assert set(small.encode(FRAME).codes[:, 0].tolist()) == {2}
