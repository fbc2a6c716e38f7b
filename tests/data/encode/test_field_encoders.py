"""Every registered field encoder keeps the contract, and the contract finds what breaks it."""

import numpy as np
import polars as pl
import pytest

from ctrkit.data.encode.log_bucket import LogBucket
from ctrkit.data.encode.real import RealEncoder
from ctrkit.data.encode.registered import field_encoder
from ctrkit.data.encode.vocabulary import Vocabulary
from ctrkit.registry import register, registry
from ctrkit.schema import Field
from ctrkit.testing import check_field_encoder

SHIPPED = [(kind, n) for kind in ("encoding", "transform", "bucket") for n in registry.names(kind)]


def failures(kind, name):
    return {v.name: v.message for v in check_field_encoder(kind, name) if not v.ok}


@pytest.mark.parametrize(("kind", "name"), SHIPPED)
def test_every_field_encoder_keeps_the_contract(kind, name):
    assert failures(kind, name) == {}


@pytest.mark.usefixtures("temporary")
def test_a_new_transform_is_one_class():
    @register("transform", "root")
    class Root(RealEncoder):
        """The square root, with the sign."""

        def transform(self, z):
            return np.sign(z) * np.sqrt(np.abs(z))

    @register("bucket", "root")
    class RootBucket(LogBucket):
        """The integer part of the square root, with the sign."""

        def integers(self, z):
            return np.trunc(np.sign(z) * np.sqrt(np.abs(z)))

    assert failures("transform", "root") == failures("bucket", "root") == {}
    real = field_encoder(Field("x", "numeric", transform="root"))
    assert real.encode(pl.Series([9.0, -4.0, None])).tolist()[:2] == [3.0, -2.0]
    bucket = field_encoder(Field("x", "numeric", encoding="buckets", transform="root"))
    assert bucket.keys(pl.Series([10.0, -5.0]))[0].to_list() == ["3", "-2"]


@pytest.mark.usefixtures("temporary")
def test_the_contract_finds_missing_values_with_a_wrong_code():
    @register("encoding", "careless")
    class Careless(Vocabulary):
        """Missing values are unseen ones."""

        def encode(self, values):
            return self.text_codes(self.text(values))

    assert "a missing value must be 0" in failures("encoding", "careless")["missing"]


@pytest.mark.usefixtures("temporary")
def test_the_contract_finds_codes_that_depend_on_the_other_rows():
    @register("transform", "centred")
    class Centred(RealEncoder):
        """Less the mean of the batch."""

        def transform(self, z):
            return z - (np.nanmean(z) if len(z) else 0.0)

    assert "one row" in failures("transform", "centred")


@pytest.mark.usefixtures("temporary")
def test_the_contract_finds_values_that_pruning_recodes():
    @register("encoding", "shifted")
    class Shifted(Vocabulary):
        """A pruned vocabulary gives its values to the wrong codes."""

        def pruned(self, kept):
            return super().pruned(np.roll(kept, 1))

    assert "pruned" in failures("encoding", "shifted")
