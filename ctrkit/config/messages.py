"""Validation errors as one line: the key, the rule, the value, the nearest key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ValidationError

from ctrkit.config.sections import ModelConfig
from ctrkit.errors import nearest
from ctrkit.registry import registry

_ROLES = {f"data.{name}" for name in ("label", "time", "group", "weight", "key")}


def explain(error: ValidationError, cls: type[BaseModel]) -> str:
    """Turn pydantic's first complaint into one line: key, rule, value, nearest key."""
    first = error.errors(include_url=False, include_context=True)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _keys_at(cls, [str(part) for part in first["loc"][:-1]])
        name = str(first["loc"][-1])
        if where in _ROLES:
            return f"unknown key {where!r}: name the column with --{name}, or in a schema.toml"
        return f"unknown key {where!r}{nearest(name, known)} (known here: {', '.join(known)})"
    rule = first["msg"].removeprefix("Value error, ")
    got = first.get("input")
    said = "" if isinstance(got, Mapping) else f"; got {got!r}"  # a rule over a whole section
    return f"{where}: {rule[:1].lower()}{rule[1:]}{said}"


def _keys_at(cls: type[BaseModel], path: Sequence[str]) -> list[str]:
    for part in path:
        found = cls.model_fields.get(part)
        annotation = found.annotation if found else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        cls = annotation
    keys = [f.alias or name for name, f in cls.model_fields.items() if name != "parameters"]
    return [*keys, *registry.names("interaction")] if cls is ModelConfig else keys
