"""A smaller encoder: only the values that a selection kept have their own code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ctrkit.data.encode.encoder import Encoder
from ctrkit.data.encode.field import Mask
from ctrkit.errors import ConfigError


def prune(encoder: Encoder, kept: Mapping[str, Mask]) -> Encoder:
    """Return an encoder that codes dropped values as 2, and kept ones without gaps.

    A field without a kept value leaves the schema, unless a cross needs it. Exact crosses go by
    codes, which change: they must be counted again.

    Args:
        encoder: Has a vocabulary or buckets for each field of ``kept``.
        kept: Per field, which codes stay ``(rows,)``; one entry for a real number. Fields that
            are not named stay as they are.

    Raises:
        ConfigError: No field is left.
    """
    needed = {member for cross in encoder.schema.crosses for member in cross.fields}
    fields = {
        name: field.pruned(kept[name]) if name in kept else field
        for name, field in encoder.fields.items()
        if name in needed or name not in kept or kept[name].any()
    }
    if not fields:
        raise ConfigError("the selection drops every value of every field: lower its penalty")
    schema = encoder.schema
    narrowed = tuple(f for f in schema.fields if f.name in fields)
    return Encoder(replace(schema, fields=narrowed), fields)
