"""What a search draws: dimensions from the components' typed bounds, changed by ``search.space``.

A component's parameters exist only where the component is part of the model: the choice of the
model, of its interactions and of its head is drawn first.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast, get_args, get_origin

from ctrkit.config.files import make_config
from ctrkit.config.sections import ModelConfig, RunConfig, TrainConfig
from ctrkit.errors import ConfigError, CtrkitError, nearest
from ctrkit.models.build import find_preset, resolve_model
from ctrkit.registry import Choices, Range, registry
from ctrkit.search.features.config import FeaturesConfig, FeatureSearchConfig
from ctrkit.search.interactions.config import InteractionsConfig, InteractionSearchConfig
from ctrkit.search.params.config import ParamsConfig

USE = "use."
INNER: dict[str, type[RunConfig]] = {"features": FeaturesConfig, "interactions": InteractionsConfig}
"""The other searches whose knobs can be drawn."""
STRUCTURE = ("model.name", "model.preset", "model.interactions", "model.head", "model.table")
FIXED = ("seed", "device", "threads", "init", "monitor", "checkpoint_s", "shuffle_rows")
"""Of ``[train]``: no settings of a model."""


@dataclass(frozen=True)
class Dimension:
    """One thing that is drawn.

    Attributes:
        key: ``section.key`` of the configuration, or ``use.<interaction>``.
        kind: ``float``, ``int`` or ``choice``.
        low: Smallest number.
        high: Largest number.
        log: Whether numbers are drawn on a logarithmic scale.
        step: Distance of numbers; None: any.
        choices: Of a ``choice``; lists among them are tuples.
        owner: Component that has the parameter; it exists where the model has the component.
        when: Values that other keys must have for this one to exist.
    """

    key: str
    kind: Literal["float", "int", "choice"]
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    choices: tuple[Any, ...] = ()
    owner: str = ""
    when: tuple[tuple[str, tuple[Any, ...]], ...] = ()

    def near(self, value: Any) -> Any:
        """Return the value that can be drawn and is nearest to a setting; None: there is none."""
        if self.kind == "choice":
            value = tuple(value) if isinstance(value, list) else value
            return value if value in self.choices else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        value = min(max(value, self.low), self.high)
        if self.step is not None:
            most = math.floor((self.high - self.low) / self.step + 1e-9)
            value = self.low + min(round((value - self.low) / self.step), most) * self.step
        return round(value) if self.kind == "int" else float(value)

    def labels(self) -> list[Any]:
        """Return the choices as plain values: lists as JSON text."""
        return [label_of(value) for value in self.choices]

    def value_of(self, label: Any) -> Any:
        """Return the choice of a label."""
        return self.choices[self.labels().index(label)]

    def probes(self) -> tuple[Any, ...]:
        """Return values that a configuration must allow: the ends, or all choices."""
        if self.kind == "choice":
            return self.choices
        ends = (self.low, self.high)
        return tuple(int(v) for v in ends) if self.kind == "int" else ends


def label_of(value: Any) -> Any:
    """Return a value as Optuna can store it."""
    return json.dumps(value) if isinstance(value, list | tuple | dict) else value


@dataclass(frozen=True)
class Space:
    """Dimensions in the order in which they are drawn, and the configuration they change."""

    config: RunConfig
    dimensions: tuple[Dimension, ...]
    pool: tuple[str, ...] = ()
    kind: type[RunConfig] = field(default=RunConfig)

    def draw(self, suggest: Callable[[Dimension], Any]) -> dict[str, Any]:
        """Draw one point: what exists only beside other values is asked for after them.

        Args:
            suggest: Return the value of a dimension; None leaves it open.
        """
        values: dict[str, Any] = {}
        active: set[str] | None = None
        for one in self.dimensions:
            if one.owner and active is None:
                active = components(self.config, self.pool, values)
            if self._exists(one, values, active or set()):
                value = suggest(one)
                if value is not None:
                    values[one.key] = value
            elif one.key.startswith(USE):  # a model has at least one branch: the last one stays
                values[one.key] = True
        return values

    def start(self) -> dict[str, Any]:
        """Return the point nearest to the settings before the search, as Optuna stores it.

        What has no such point (a choice left open, one that is not offered) is left out.
        """
        before = resolve_model(self.config.model)
        first: dict[str, Any] = {
            d.key: d.near(_setting(self.config, before, d.key))
            for d in self.dimensions
            if d.key in STRUCTURE
        }
        used = [n for n in self.pool if n in (before.interactions or ())] or self.pool
        first |= {USE + n: n in used for n in self.pool}
        open_model = None in first.values()  # then its components are open, too
        first = {k: v for k, v in first.items() if v is not None}
        model = resolve_model(self.apply(first).model)

        def nearest_value(one: Dimension) -> Any:
            if one.key in first:
                return first[one.key]
            if one.owner and open_model:
                return None
            return one.near(_setting(self.config, model, one.key))

        return {k: label_of(v) for k, v in self.draw(nearest_value).items()}

    def point(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a point that Optuna stored."""
        return self.draw(
            lambda one: one.value_of(stored[one.key]) if one.kind == "choice" else stored[one.key]
        )

    def _exists(self, one: Dimension, values: Mapping[str, Any], active: set[str]) -> bool:
        if one.key.startswith(USE):
            chosen = any(values.get(USE + name) for name in self.pool)
            return chosen or one.key != USE + self.pool[-1]
        if one.owner and one.owner not in active:
            return False
        return all(values.get(key) in allowed for key, allowed in one.when)

    def apply(self, values: Mapping[str, Any]) -> RunConfig:
        """Return the configuration with a point's values; without any, the one before the search.

        Raises:
            ConfigError: A value is out of bounds.
        """
        if not values:
            return self.config
        return put(self.config, self.pool, values, self.kind)


def _setting(config: RunConfig, model: ModelConfig, key: str) -> Any:
    """Return what a configuration, its model resolved, says of a dimension's key."""
    section, *path = key.split(".")
    if len(path) == 2:
        return model.parameters.get(path[0], {}).get(path[1])
    return getattr(model if section == "model" else getattr(config, section), path[0])


def put(
    config: RunConfig, pool: tuple[str, ...], values: Mapping[str, Any], kind: type[RunConfig]
) -> RunConfig:
    """Return a configuration with other values; parameters of absent components fall away."""
    data = config.model_dump(mode="json", by_alias=True, exclude_unset=True)
    model = data.setdefault("model", {})
    parameters = model.setdefault("parameters", {})
    for key, value in values.items():
        section, *path = key.split(".")
        if section == "use":
            continue
        table = data.setdefault(section, {})
        if section == "model" and len(path) == 2:
            parameters[path[0]] = {**parameters.get(path[0], {}), path[1]: value}
        else:
            table[path[0]] = _shaped(section, path[0], value)
    if pool:
        model["interactions"] = [n for n in pool if values.get(USE + n)] or list(pool)
    active = components(config, pool, values)
    model["parameters"] = {k: v for k, v in parameters.items() if k in active}
    return make_config(data, kind)


def _shaped(section: str, key: str, value: Any) -> Any:
    """Return a drawn number as the list of one where the setting is a list."""
    found = FeatureSearchConfig.model_fields.get(key) if section == "search" else None
    listed = found is not None and get_origin(found.annotation) is tuple
    return [value] if listed and not isinstance(value, list | tuple) else value


def components(config: RunConfig, pool: tuple[str, ...], values: Mapping[str, Any]) -> set[str]:
    """Return the names of the branches, and of the head, of the model that values make."""
    changed = {k.removeprefix("model."): v for k, v in values.items() if k in STRUCTURE}
    model = config.model.model_copy(update=changed)
    preset = find_preset(model)
    branches = preset.interactions if model.interactions is None else model.interactions
    if pool:
        branches = tuple(n for n in pool if values.get(USE + n)) or pool
    return {*branches, model.head or preset.head}


def make_space(config: ParamsConfig) -> Space:
    """Return the space of a search.

    Args:
        config: What is not searched; what it sets explicitly is searched only where
            ``search.space`` names it.

    Raises:
        ConfigError: ``search.space`` names an unknown key, or values that the key cannot have.
        UnknownNameError: A component is unknown.
    """
    search = config.search
    plain, kind = _plain(config)
    for name in search.interactions:
        registry.entry("interaction", name)
    given = dict(_flat(search.space))
    dimensions = {d.key: d for d in _structure(search.interactions)}
    written = {key: _read(key, value) for key, value in given.items()}
    dimensions |= {k: d for k, d in written.items() if d is not None and k in STRUCTURE}
    if search.derive:
        dimensions |= {d.key: d for d in _derived(config) if d.key not in dimensions}
    models = list(_models(plain, search.interactions, list(dimensions.values())))
    owners = sorted(
        {name for point in models for name in components(plain, search.interactions, point)}
    )
    parameters = dict(_parameters(owners))
    known = {**_settings(kind), **dict.fromkeys(parameters, "")}
    for key in given:
        if key not in known:
            raise ConfigError(
                f"search.space: {key!r} is no setting that can be searched{nearest(key, known)}"
            )
    if search.derive:
        fixed = _fixed(config)
        dimensions |= {k: d for k, d in parameters.items() if d and k not in fixed}
    for key, one in written.items():
        dimensions.pop(key, None)
        if one is not None:
            component = key.split(".")[1] if key in parameters else ""
            dimensions[key] = replace(one, owner=component)
    if not dimensions:
        raise ConfigError("nothing to search: search.space names at least one dimension")
    ordered = sorted(dimensions.values(), key=lambda d: (not _first(d), bool(d.when)))
    space = Space(plain, tuple(ordered), search.interactions, kind)
    _check(space, models)
    return space


def _first(one: Dimension) -> bool:
    return one.key in STRUCTURE or one.key.startswith(USE)


def _plain(config: ParamsConfig) -> tuple[RunConfig, type[RunConfig]]:
    """Return the configuration of a trial, before anything is drawn."""
    data = config.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"search"})
    if config.search.over == "params":
        if config.search.inner:
            raise ConfigError("search.inner is of searches: set search.over")
        return make_config(data), RunConfig
    kind = INNER[config.search.over]
    if kind is InteractionsConfig:
        data.setdefault("model", {}).setdefault("name", "optinter")
    return make_config({**data, "search": config.search.inner}, kind), kind


def _structure(pool: tuple[str, ...]) -> Iterator[Dimension]:
    for name in pool:
        yield Dimension(USE + name, "choice", choices=(True, False))


_GENERAL = (
    Dimension("train.lr", "float", 1e-4, 2e-2, log=True),
    Dimension("train.l2", "float", 1e-8, 1e-3, log=True),
    Dimension("train.schedule", "choice", choices=("constant", "linear", "cosine")),
    Dimension("model.dim", "int", 4, 64, log=True),
    Dimension("model.embedding_dropout", "float", 0.0, 0.6),
)
_HASHING = (
    Dimension("model.table", "choice", choices=("auto", "hashed")),
    Dimension("model.rows", "int", 100, 1_000_000, log=True, when=(("model.table", ("hashed",)),)),
)
_VALUES = (
    Dimension("search.penalty", "float", 0.5, 64.0, log=True),
    Dimension("search.temperature", "float", 50.0, 5000.0, log=True),
    Dimension("search.rewind", "int", 0, 1),
    Dimension("search.field_gates", "choice", choices=(False, True)),
)
_PAIRS = (
    Dimension("search.gate_lr", "float", 1e-3, 1e-1, log=True),
    Dimension("search.warmup", "float", 0.0, 0.4),
    Dimension("search.relaxation", "choice", choices=("softmax", "gumbel")),
    Dimension("model.second_dim", "int", 2, 16, log=True),
)


def _derived(config: ParamsConfig) -> list[Dimension]:
    """Return what every model has, less what the configuration fixes; hashing where it pays."""
    found = list(_GENERAL)
    if config.search.over != "params":
        found += _VALUES if config.search.over == "features" else _PAIRS
    elif "bytes" in config.search.objectives:
        found += _HASHING
    fixed = _fixed(config)
    if "search.epochs" in fixed:
        found = [d for d in found if d.key != "search.rewind"]
    if "search.target_ratio" in fixed:
        found = [d for d in found if d.key != "search.penalty"]
    if "model.table" in fixed:
        found = [d for d in found if d not in _HASHING]
    return [d for d in found if d.key not in fixed]


def _fixed(config: ParamsConfig) -> set[str]:
    """Return the keys that the configuration sets explicitly, unless they are free all the same."""
    if config.search.free:
        return {"model.pairs.op"} if config.model.operations is not None else set()
    fixed = {f"train.{name}" for name in config.train.model_fields_set}
    fixed |= {f"model.{name}" for name in config.model.model_fields_set}
    fixed |= {f"search.{name}" for name in config.search.inner}
    tables = config.model.parameters.items()
    if config.model.operations is not None:  # each pair has its own
        fixed.add("model.pairs.op")
    return fixed | {f"model.{name}.{key}" for name, table in tables for key in table}


def _settings(kind: type[RunConfig]) -> dict[str, str]:
    """Return every setting that may be searched, but parameters of components."""
    model = [n for n in ModelConfig.model_fields if n not in ("parameters", "operations")]
    keys = [
        *(f"model.{n}" for n in model),
        *(f"train.{n}" for n in TrainConfig.model_fields if n not in FIXED),
    ]
    if kind is not RunConfig:
        inner = FeatureSearchConfig if kind is FeaturesConfig else InteractionSearchConfig
        keys += [f"search.{n}" for n in inner.model_fields]
    return dict.fromkeys(keys, "")


def _parameters(owners: list[str]) -> Iterator[tuple[str, Dimension | None]]:
    """Yield every parameter of components, with the dimension that its type gives, if any."""
    for owner in owners:
        for kind in ("interaction", "head"):
            if owner not in registry.names(kind):
                continue
            fields = registry.parameters(kind, owner).model_fields
            for name, info in fields.items():
                key = f"model.{owner}.{name}"
                yield key, _typed(key, owner, info.annotation, info.metadata)


def _typed(key: str, owner: str, annotation: Any, metadata: list[Any]) -> Dimension | None:
    for mark in metadata:
        if isinstance(mark, Choices):
            return Dimension(key, "choice", choices=tuple(mark.values), owner=owner)
        if isinstance(mark, Range):
            low, high = mark.search or (mark.low, mark.high)
            kind: Any = "int" if annotation is int else "float"
            return Dimension(key, kind, low, high, mark.log, owner=owner)
    if annotation is bool:
        return Dimension(key, "choice", choices=(False, True), owner=owner)
    if get_origin(annotation) is Literal:
        return Dimension(key, "choice", choices=get_args(annotation), owner=owner)
    return None


_TABLE = ("low", "high", "log", "step", "choices", "when")


def _flat(space: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield ``section.key`` and what is said of it, however the tables are nested."""
    for key, value in space.items():
        where = f"{prefix}{key}"
        if isinstance(value, Mapping) and not set(value) & set(_TABLE):
            yield from _flat(value, f"{where}.")
        else:
            yield where, value


def _read(key: str, value: Any) -> Dimension | None:
    """Read what ``search.space`` says of a key; None: it is not searched."""
    if value is False:
        return None
    if isinstance(value, list | tuple):
        value = {"choices": value}
    if not isinstance(value, Mapping):
        raise ConfigError(
            f"search.space.{key} is a list of choices, {{low = ..., high = ...}}, or false; "
            f"got {value!r}"
        )
    for name in value:
        if name not in _TABLE:
            known = ", ".join(_TABLE)
            raise ConfigError(
                f"search.space.{key}: unknown {name!r}{nearest(name, _TABLE)} (known: {known})"
            )
    conditions = value.get("when", {})
    if not isinstance(conditions, Mapping):
        raise ConfigError(
            f"search.space.{key}: when is a table of keys and their values; got {conditions!r}"
        )
    when = tuple(
        (k, tuple(v) if isinstance(v, list | tuple) else (v,)) for k, v in _flat(conditions)
    )
    if "choices" in value:
        choices = tuple(tuple(c) if isinstance(c, list) else c for c in value["choices"])
        if not choices:
            raise ConfigError(f"search.space.{key} names at least one choice")
        return Dimension(key, "choice", choices=choices, when=when)
    return replace(_numbers(key, value), when=when)


def _numbers(key: str, value: Mapping[str, Any]) -> Dimension:
    ends = [value.get("low"), value.get("high")]
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in ends):
        raise ConfigError(f"search.space.{key}: low and high are numbers; got {ends!r}")
    low, high = cast("list[float]", ends)
    log, step = bool(value.get("log", False)), value.get("step")
    if not math.isfinite(low) or not math.isfinite(high) or low > high:
        raise ConfigError(f"search.space.{key}: low is at most high; got {low} and {high}")
    if log and (low <= 0 or step is not None):
        raise ConfigError(f"search.space.{key}: log needs low above 0, and no step")
    if step is not None and (
        isinstance(step, bool) or not isinstance(step, int | float) or not 0 < step < math.inf
    ):
        raise ConfigError(f"search.space.{key}: step is a number above 0; got {step!r}")
    whole = all(isinstance(v, int) for v in (low, high, *([] if step is None else [step])))
    return Dimension(key, "int" if whole else "float", low, high, log, step)


def _models(
    config: RunConfig, pool: tuple[str, ...], dimensions: list[Dimension]
) -> Iterator[dict[str, Any]]:
    """Yield every choice of model that the dimensions allow."""
    first = [d for d in dimensions if d.key in STRUCTURE]
    lists = [[(d.key, v) for v in d.choices] for d in first]
    uses = [dict.fromkeys((USE + n for n in pool), False) | {USE + n: True} for n in pool]
    for point in itertools.product(*lists):
        for use in uses or [{}]:
            yield {**dict(point), **use}


def _check(space: Space, models: list[dict[str, Any]]) -> None:
    """Refuse values that the configuration would refuse in the midst of a search."""
    for point in models:
        try:
            resolve_model(space.apply(point).model)
        except ConfigError as error:
            raise ConfigError(f"search.space: {error}") from None
    for one in space.dimensions:
        for key, allowed in one.when:
            _check_condition(space, one, key, allowed)
        if not _first(one):
            _probe(space, one, models)


def _check_condition(space: Space, one: Dimension, key: str, allowed: tuple[Any, ...]) -> None:
    """Refuse a condition on what is not drawn, or that never holds."""
    drawn = {d.key: d for d in space.dimensions}
    if key not in drawn:
        raise ConfigError(
            f"search.space.{one.key}: when names {key!r}, not searched{nearest(key, drawn)}"
        )
    other = drawn[key]
    for value in allowed:
        if other.near(value) is None or (other.kind != "choice" and other.near(value) != value):
            known = (
                ", ".join(map(str, other.labels()))
                if other.kind == "choice"
                else (f"{other.low:g} to {other.high:g}")
            )
            hint = nearest(str(value), [str(v) for v in other.choices])
            raise ConfigError(
                f"search.space.{one.key}: when needs {key} = {value!r}, which is not drawn{hint}; "
                f"it is one of {known}"
            )


def _probe(space: Space, one: Dimension, models: list[dict[str, Any]]) -> None:
    fitting = [
        m for m in models if not one.owner or one.owner in components(space.config, space.pool, m)
    ]
    for value in one.probes() if fitting else ():
        try:
            resolve_model(space.apply({**fitting[0], one.key: value}).model)
        except CtrkitError as error:
            raise ConfigError(f"search.space.{one.key}: {error}") from None
