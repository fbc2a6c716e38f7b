"""The default space: hyper-parameters whose bounds are declared where they are defined.

A configuration field is drawn if it carries a :class:`~ctrkit.registry.Range` or
:class:`~ctrkit.registry.Choices`; a component's parameter also if it is a bool or a Literal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, cast, get_args, get_origin

from pydantic import BaseModel

from ctrkit.config.sections import RunConfig
from ctrkit.registry import Choices, Range, registry
from ctrkit.search.params.config import ParamsConfig, ParamsSearchConfig
from ctrkit.search.params.dimension import Dimension

SECTIONS = ("train", "model", "search")
NOT_SEARCHED = {
    "train": ("seed", "device", "threads", "init", "monitor", "checkpoint_s", "shuffle_rows"),
    "model": ("parameters", "operations"),
    "search": (),
}
"""Fields of each section that are not hyper-parameters."""


@dataclass(frozen=True)
class Rule:
    """Which searches draw a configuration field by default.

    Attributes:
        over: Kinds of trial; empty: all.
        objective: One of the objectives that must be optimised; empty: any.
        unless: Key that, set explicitly, makes the field meaningless or already decided.
        when: Other keys and the values that they must have for the field to be drawn.
    """

    over: tuple[str, ...] = ()
    objective: str = ""
    unless: str = ""
    when: tuple[tuple[str, tuple[Any, ...]], ...] = ()

    def general(self) -> bool:
        """Return whether every kind of search draws the field."""
        return not self.over and not self.objective

    def holds(self, search: ParamsSearchConfig, fixed: set[str]) -> bool:
        """Return whether a search draws the field, given the keys set explicitly."""
        return (
            (not self.over or search.over in self.over)
            and (not self.objective or self.objective in search.objectives)
            and self.unless not in fixed
        )


RULES = {
    "model.table": Rule(over=("params",), objective="bytes"),
    "model.rows": Rule(
        over=("params",),
        objective="bytes",
        unless="model.table",
        when=(("model.table", ("hashed",)),),
    ),
    "model.second_dim": Rule(over=("interactions",)),
    "search.rewind": Rule(unless="search.epochs"),
    "search.penalty": Rule(unless="search.target_ratio"),
}
"""Conditions on fields that not every search draws."""


def derived_fields(
    search: ParamsSearchConfig, kind: type[RunConfig], fixed: set[str]
) -> list[Dimension]:
    """Return the dimensions of configuration fields, those that every search draws first.

    Args:
        search: ``[search]``.
        kind: Type of a trial's configuration.
        fixed: Keys that are set explicitly.
    """
    dimensions = []
    for section in SECTIONS:
        for name, info in section_type(kind, section).model_fields.items():
            key = f"{section}.{name}"
            rule = RULES.get(key, Rule())
            dimension = _marked(key, info.annotation, info.metadata)
            if dimension is not None and key not in fixed and rule.holds(search, fixed):
                dimensions.append(replace(dimension, when=rule.when))
    return sorted(dimensions, key=lambda d: not RULES.get(d.key, Rule()).general())


def derived_parameters(owners: Sequence[str]) -> Iterator[tuple[str, Dimension | None]]:
    """Yield the key of every parameter of components, and its dimension, if its type gives one."""
    for owner in owners:
        for kind in ("interaction", "head"):
            if owner not in registry.names(kind):
                continue
            for name, info in registry.parameters(kind, owner).model_fields.items():
                key = f"model.{owner}.{name}"
                dimension = _marked(key, info.annotation, info.metadata)
                dimension = dimension or _enumerated(key, info.annotation)
                yield key, None if dimension is None else replace(dimension, owner=owner)


def searchable_fields(kind: type[RunConfig]) -> list[str]:
    """Return the keys of every configuration field that may be searched."""
    return [
        f"{section}.{name}"
        for section in ("model", "train", "search")
        for name in section_type(kind, section).model_fields
        if name not in NOT_SEARCHED[section]
    ]


def fixed_keys(config: ParamsConfig) -> set[str]:
    """Return the keys that are not searched by default: set explicitly, unless ``search.free``."""
    fixed = set()
    if config.model.operations is not None:  # each pair has its own
        fixed.add("model.pairs.op")
    if config.search.free:
        return fixed
    fixed |= {f"train.{name}" for name in config.train.model_fields_set}
    fixed |= {f"model.{name}" for name in config.model.model_fields_set}
    fixed |= {f"search.{name}" for name in config.search.inner}
    tables = config.model.parameters.items()
    return fixed | {f"model.{name}.{key}" for name, table in tables for key in table}


def section_type(kind: type[RunConfig], section: str) -> type[BaseModel]:
    """Return the type of a section of a configuration; an empty one if it has no such section."""
    field = kind.model_fields.get(section)
    return BaseModel if field is None else cast("type[BaseModel]", field.annotation)


def takes_list(kind: type[RunConfig], section: str, name: str) -> bool:
    """Return whether a configuration field is a list of values, of which a search draws one."""
    field = section_type(kind, section).model_fields.get(name)
    return field is not None and get_origin(field.annotation) is tuple


def _marked(key: str, annotation: Any, metadata: Sequence[Any]) -> Dimension | None:
    """Return the dimension of a field's ``Range`` or ``Choices``, or of its elements' one."""
    for mark in metadata:
        if isinstance(mark, Choices):
            return Dimension(key, "choice", choices=tuple(mark.values))
        if isinstance(mark, Range):
            low, high = mark.search or (mark.low, mark.high)
            return Dimension(key, "int" if annotation is int else "float", low, high, mark.log)
    elements = get_args(annotation)[:1] if get_origin(annotation) is tuple else ()
    for element in elements:
        if get_origin(element) is Annotated:
            inner, *marks = get_args(element)
            return _marked(key, inner, marks)
    return None


def _enumerated(key: str, annotation: Any) -> Dimension | None:
    """Return the dimension of a bool or a Literal."""
    if annotation is bool:
        return Dimension(key, "choice", choices=(False, True))
    if get_origin(annotation) is Literal:
        return Dimension(key, "choice", choices=get_args(annotation))
    return None
