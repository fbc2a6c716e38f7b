"""A search space: the dimensions of a search, and the configuration that a point of it makes.

A component's parameters exist only where the component is part of the model: the model, its
interactions and its head are drawn first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ctrkit.config.files import make_config
from ctrkit.config.sections import WHOLE, ModelConfig, RunConfig
from ctrkit.models.resolve import find_preset, resolve_model
from ctrkit.search.params.derived import takes_list
from ctrkit.search.params.dimension import STRUCTURE, USE, Dimension, label_of


@dataclass(frozen=True)
class Space:
    """Dimensions in the order in which they are drawn, and the configuration that they change.

    Attributes:
        config: Configuration of a trial before anything is drawn.
        dimensions: What is drawn, in order.
        pool: Interaction layers of which each is used or not; empty: the model's own.
    """

    config: RunConfig
    dimensions: tuple[Dimension, ...]
    pool: tuple[str, ...] = ()

    def draw(self, suggest: Callable[[Dimension], Any]) -> dict[str, Any]:
        """Draw one point; a conditional dimension is drawn after those that it depends on.

        Args:
            suggest: Return the value of a dimension; None leaves it open.
        """
        values: dict[str, Any] = {}
        active: set[str] | None = None
        for dimension in self.dimensions:
            if dimension.owner and active is None:
                active = components(self.config, self.pool, values)
            if self._exists(dimension, values, active or set()):
                value = suggest(dimension)
                if value is not None:
                    values[dimension.key] = value
            elif dimension.key.startswith(USE):  # a model has at least one branch
                values[dimension.key] = True
        return values

    def start(self) -> dict[str, Any]:
        """Return the point nearest to the initial configuration, as Optuna stores it.

        Dimensions without such a point (an undecided or an unoffered choice) are left out.
        """
        initial = resolve_model(self.config.model)
        structure: dict[str, Any] = {
            d.key: d.near(_value(self.config, initial, d.key))
            for d in self.dimensions
            if d.key in STRUCTURE
        }
        used = [n for n in self.pool if n in (initial.interactions or ())] or self.pool
        structure |= {USE + n: n in used for n in self.pool}
        undecided = None in structure.values()  # then so are the components' parameters
        structure = {k: v for k, v in structure.items() if v is not None}
        model = resolve_model(self.apply(structure).model)

        def nearest_value(dimension: Dimension) -> Any:
            if dimension.key in structure:
                return structure[dimension.key]
            if dimension.owner and undecided:
                return None
            return dimension.near(_value(self.config, model, dimension.key))

        return {k: label_of(v) for k, v in self.draw(nearest_value).items()}

    def point(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of a point that Optuna stored."""
        return self.draw(
            lambda d: d.value_of(stored[d.key]) if d.kind == "choice" else stored[d.key]
        )

    def apply(self, values: Mapping[str, Any]) -> RunConfig:
        """Return the configuration of a point; without values, the initial one.

        Parameters of components that the model does not have are dropped.

        Raises:
            ConfigError: A value is out of bounds.
        """
        if not values:
            return self.config
        kind = type(self.config)
        data = self.config.model_dump(mode="json", by_alias=True, exclude_unset=True, context=WHOLE)
        model = data.setdefault("model", {})
        parameters = model.setdefault("parameters", {})
        for key, value in values.items():
            section, *path = key.split(".")
            if section == "use":
                continue
            if section == "model" and len(path) == 2:
                parameters[path[0]] = {**parameters.get(path[0], {}), path[1]: value}
                continue
            listed = takes_list(kind, section, path[0]) and not isinstance(value, list | tuple)
            data.setdefault(section, {})[path[0]] = [value] if listed else value
        if self.pool:
            model["interactions"] = [n for n in self.pool if values.get(USE + n)] or list(self.pool)
        active = components(self.config, self.pool, values)
        model["parameters"] = {k: v for k, v in parameters.items() if k in active}
        return make_config(data, kind)

    def _exists(self, dimension: Dimension, values: Mapping[str, Any], active: set[str]) -> bool:
        if dimension.key.startswith(USE):
            chosen = any(values.get(USE + name) for name in self.pool)
            return chosen or dimension.key != USE + self.pool[-1]
        if dimension.owner and dimension.owner not in active:
            return False
        return all(values.get(key) in allowed for key, allowed in dimension.when)


def components(config: RunConfig, pool: tuple[str, ...], values: Mapping[str, Any]) -> set[str]:
    """Return the names of the branches and of the head of the model that a point makes."""
    changed = {k.removeprefix("model."): v for k, v in values.items() if k in STRUCTURE}
    model = config.model.model_copy(update=changed)
    preset = find_preset(model)
    branches = preset.interactions if model.interactions is None else model.interactions
    if pool:
        branches = tuple(n for n in pool if values.get(USE + n)) or pool
    return {*branches, model.head or preset.head}


def _value(config: RunConfig, model: ModelConfig, key: str) -> Any:
    """Return the value that a configuration, its model resolved, has for a dimension's key."""
    section, *path = key.split(".")
    if len(path) == 2:
        return model.parameters.get(path[0], {}).get(path[1])
    return getattr(model if section == "model" else getattr(config, section), path[0])
