"""From the configuration of a search to its space: derived, overridden by the user, checked."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ctrkit.config.files import make_config
from ctrkit.config.sections import WHOLE, RunConfig
from ctrkit.errors import ConfigError, CtrkitError, nearest
from ctrkit.models.resolve import resolve_model
from ctrkit.registry import registry
from ctrkit.search.kinds import KINDS
from ctrkit.search.params.config import ParamsConfig
from ctrkit.search.params.derived import (
    derived_fields,
    derived_parameters,
    fixed_keys,
    searchable_fields,
)
from ctrkit.search.params.dimension import STRUCTURE, USE, Dimension
from ctrkit.search.params.space import Space, components
from ctrkit.search.params.written import read_space

Point = Mapping[str, Any]


def make_space(config: ParamsConfig) -> Space:
    """Return the space of a search.

    Args:
        config: What the search starts from; a key that it sets explicitly is searched only if
            ``search.space`` names it.

    Raises:
        ConfigError: ``search.space`` names an unknown key, or values that the key cannot have.
        UnknownNameError: A component is unknown.
    """
    search, initial = config.search, initial_trial(config)
    for name in search.interactions:
        registry.entry("interaction", name)
    written, fixed = read_space(search.space), fixed_keys(config)
    dimensions = {
        USE + n: Dimension(USE + n, "choice", choices=(True, False)) for n in search.interactions
    }
    dimensions |= {k: d for k, d in written.items() if d is not None and k in STRUCTURE}
    if search.derive:
        fields = derived_fields(search, type(initial), fixed)
        dimensions |= {d.key: d for d in fields if d.key not in dimensions}
    models = list(_models(search.interactions, dimensions.values()))
    owners = sorted({n for m in models for n in components(initial, search.interactions, m)})
    parameters = dict(derived_parameters(owners))
    known = [*searchable_fields(type(initial)), *parameters]
    for key in written:
        if key not in known:
            raise ConfigError(f"search.space: {key!r} cannot be searched{nearest(key, known)}")
    if search.derive:
        dimensions |= {k: d for k, d in parameters.items() if d and k not in fixed}
    for key, dimension in written.items():
        dimensions.pop(key, None)
        if dimension is not None:
            owner = key.split(".")[1] if key in parameters else ""
            dimensions[key] = replace(dimension, owner=owner)
    if not dimensions:
        raise ConfigError("nothing to search: search.space must name at least one hyper-parameter")
    ordered = sorted(dimensions.values(), key=lambda d: (not d.structural, bool(d.when)))
    space = Space(initial, tuple(ordered), search.interactions)
    _check(space, models)
    return space


def initial_trial(config: ParamsConfig) -> RunConfig:
    """Return the configuration of a trial before anything is drawn.

    Raises:
        ConfigError: ``search.over`` is unknown, or ``search.inner`` does not fit it.
    """
    data = config.model_dump(
        mode="json", by_alias=True, exclude_unset=True, exclude={"search"}, context=WHOLE
    )
    over, inner = config.search.over, config.search.inner
    kinds = [name for name, kind in KINDS.items() if "search" in kind.config.model_fields]
    if over not in kinds:
        raise ConfigError(f"search.over must be one of {', '.join(kinds)}; got {over!r}")
    if over != "params":
        kind = KINDS[over]
        if kind.model is not None:
            data.setdefault("model", {}).setdefault("name", kind.model)
        return make_config({**data, "search": inner}, kind.config)
    if inner:
        raise ConfigError(
            "search.inner must be empty unless search.over names another search "
            f"({', '.join(name for name in kinds if name != over)})"
        )
    return make_config(data)


def _models(pool: Sequence[str], dimensions: Iterable[Dimension]) -> Iterator[dict[str, Any]]:
    """Yield every structure of a model that the dimensions allow."""
    offered = [[(d.key, v) for v in d.choices] for d in dimensions if d.key in STRUCTURE]
    uses = [dict.fromkeys((USE + n for n in pool), False) | {USE + n: True} for n in pool]
    for point in itertools.product(*offered):
        for use in uses or [{}]:
            yield {**dict(point), **use}


def _check(space: Space, models: Sequence[Point]) -> None:
    """Refuse values that a trial's configuration would refuse in the middle of a search."""
    for point in models:
        try:
            resolve_model(space.apply(point).model)
        except ConfigError as error:
            raise ConfigError(f"search.space: {error}") from None
    for dimension in space.dimensions:
        for key, allowed in dimension.when:
            _check_condition(space, dimension, key, allowed)
        if not dimension.structural:
            _check_values(space, dimension, models)


def _check_condition(
    space: Space, dimension: Dimension, key: str, allowed: tuple[Any, ...]
) -> None:
    """Refuse a condition on a key that is not drawn, or on values that it never has."""
    drawn = {d.key: d for d in space.dimensions}
    where = f"search.space.{dimension.key}"
    if key not in drawn:
        hint = nearest(key, drawn)
        raise ConfigError(f"{where}: when names {key!r}, which is not searched{hint}")
    other = drawn[key]
    for value in allowed:
        near = other.near(value)
        if near is None or (other.kind != "choice" and near != value):
            hint = nearest(str(value), [str(v) for v in other.choices])
            raise ConfigError(
                f"{where}: when requires {key} = {value!r}, which is never drawn{hint}; "
                f"{key} is one of {other.domain()}"
            )


def _check_values(space: Space, dimension: Dimension, models: Sequence[Point]) -> None:
    """Refuse bounds or choices that the configuration does not accept."""
    owner = dimension.owner
    fitting = [m for m in models if not owner or owner in components(space.config, space.pool, m)]
    for value in dimension.probes() if fitting else ():
        try:
            resolve_model(space.apply({**fitting[0], dimension.key: value}).model)
        except CtrkitError as error:
            raise ConfigError(f"search.space.{dimension.key}: {error}") from None
