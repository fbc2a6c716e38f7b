"""Validation errors as one line: the key, the rule, the value, the nearest known key."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ValidationError

from ctrkit.config.sections import ModelConfig
from ctrkit.errors import nearest
from ctrkit.registry import registry

_ROLES = {f"data.{name}" for name in ("label", "time", "group", "weight", "key")}


def validation_message(error: ValidationError, cls: type[BaseModel], within: str = "") -> str:
    """Return the first of pydantic's errors as one line.

    Args:
        error: What validation raised.
        cls: The type that was validated.
        within: The key, such as ``model.mlp``, below which it was validated.

    Example:
        ``train.lr must be greater than 0; got -1``
    """
    first = error.errors(include_url=False, include_context=True)[0]
    path = [str(key) for key in first["loc"]]
    where = ".".join([within, *path] if within else path)
    if first["type"] == "extra_forbidden":
        return _unknown_key(where, path, cls)
    got = first.get("input")
    value = (
        "" if isinstance(got, Mapping) else f"; got {got!r:.200}"
    )  # a mapping: a rule of a section
    return f"{_rule(where, first['msg'])}{value}"


def _rule(where: str, message: str) -> str:
    """Return ``where`` and what must hold there."""
    rule = message.removeprefix("Value error, ").split(", unable to")[0]
    rule = re.sub(r"^\w+ should ", "must ", rule)  # "Input should be", "Tuple should have"
    if rule.startswith("must "):
        return f"{where} {rule}"
    if rule.startswith(f"{where}."):  # a validator of a section names the key itself
        return rule
    return f"{where}: {rule[:1].lower()}{rule[1:]}"


def _unknown_key(where: str, path: Sequence[str], cls: type[BaseModel]) -> str:
    if where in _ROLES:
        option = where.removeprefix("data.")
        return f"unknown key {where!r}: name the column with --{option}, or in a schema.toml"
    keys = _keys_at(cls, path[:-1])
    return f"unknown key {where!r}{nearest(path[-1], keys)} (known keys: {', '.join(keys)})"


def _keys_at(cls: type[BaseModel], path: Sequence[str]) -> list[str]:
    """Return the keys that the section at ``path`` may have."""
    for name in path:
        field = cls.model_fields.get(name)
        annotation = field.annotation if field else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        cls = annotation
    keys = [f.alias or name for name, f in cls.model_fields.items() if name != "parameters"]
    return [*keys, *registry.names("interaction")] if cls is ModelConfig else keys
