import numpy as np
import polars as pl

from ctrkit.data.encode.registered import field_encoder
from ctrkit.schema import Field


def text(z, transform):
    field = Field("x", "numeric", encoding="buckets", transform=transform)
    return field_encoder(field).keys(pl.Series(z))[0].to_list()


def test_log_categories_are_integers_in_text():
    z = np.array([-3.7, 0.5, 100.0, np.nan, 1e300])
    assert text(z, "log2") == ["-3", "0", "21", None, "477170"]
    floor = np.floor(np.sign(z) * np.log1p(np.abs(z)) ** 2)
    expected = [None if np.isnan(f) else str(int(f)) for f in floor]
    assert text(z, "log2_monotone") == expected
