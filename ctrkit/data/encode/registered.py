"""From a field of the schema to the class that encodes it."""

from __future__ import annotations

from ctrkit.data.encode.bag import bag
from ctrkit.data.encode.field import CategoryEncoder, FieldEncoder
from ctrkit.data.encode.real import RealEncoder
from ctrkit.registry import registry
from ctrkit.schema import Field


def field_encoder(field: Field) -> FieldEncoder:
    """Return the encoder that a field declares, before it is fitted."""
    cls = registry.get(*field.component)
    assert issubclass(cls, CategoryEncoder | RealEncoder), f"{cls}: not an encoder"
    encoder: CategoryEncoder | RealEncoder = cls(field)
    return bag(encoder) if field.kind == "multi" else encoder
