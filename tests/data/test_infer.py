"""Kinds inferred from types and values, and the options that override them."""

from __future__ import annotations

import datetime as dt

import pytest

from ctrkit.data.infer import Overrides, apply_overrides, infer_schema
from ctrkit.data.read.sources import frame_source
from ctrkit.errors import SchemaError

SOURCE = frame_source(
    {
        "y": [0, 1],
        "id": ["007", "12"],
        "price": ["1.5", "2"],
        "x": [0.5, 1.0],
        "tags": [["a"], ["b", "c"]],
        "at": [dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 2)],
        "one": ["k", "k"],
    }
)


def test_kinds_are_inferred_with_warnings() -> None:
    schema, warnings = infer_schema(SOURCE, Overrides(label="y"))
    assert {f.name: f.kind for f in schema.fields} == {
        "id": "categorical",
        "price": "numeric",
        "x": "numeric",
        "tags": "multi",
        "one": "categorical",
    }
    assert any("--time at" in w for w in warnings)
    assert any("--ignore one" in w for w in warnings)


def test_row_ids_give_a_warning() -> None:
    _, warnings = infer_schema(frame_source({"i": list(range(2000))}), Overrides())
    assert "looks like a row id" in warnings[0]


def test_options_override_what_is_inferred() -> None:
    flags = Overrides(label="y", time="at", numeric=("id",), ignore=("one",))
    schema, _ = infer_schema(SOURCE, flags)
    assert schema.field("id").kind == "numeric"
    assert "one" not in schema.names
    assert schema.time == "at"
    again = apply_overrides(schema, Overrides(categorical=("id",), label="y"), SOURCE.columns)
    assert again.field("id").kind == "categorical"
    with pytest.raises(SchemaError, match=r"did you mean 'price'.*columns: y, id"):
        infer_schema(SOURCE, Overrides(label="prize"))
