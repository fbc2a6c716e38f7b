"""Raw rows with every kind of field."""

from __future__ import annotations

import pytest

from ctrkit.schema import Field, Schema
from ctrkit.testing.generated import planted_clicks


@pytest.fixture
def messy():
    frame, _ = planted_clicks(300, seed=1)
    fields = (
        Field("site", "categorical"),
        Field("ad", "categorical"),
        Field("age", "numeric"),
        Field("interests", "multi"),
    )
    return frame, Schema(fields, label="click", group="user")
