"""From a model's name to its complete configuration: presets and parameters of every branch."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from ctrkit.components import Kind
from ctrkit.config.messages import validation_message
from ctrkit.config.sections import ModelConfig
from ctrkit.errors import ConfigError, UnknownNameError, nearest
from ctrkit.models.presets import PRESETS, Preset
from ctrkit.registry import registry


def resolve_model(config: ModelConfig) -> ModelConfig:
    """Apply the preset and fill in every parameter of every component.

    Raises:
        UnknownNameError: No model, interaction or head has the name.
        ConfigError: No preset, or no component of the model, has the name; or a parameter is
            unknown or out of bounds.
    """
    preset = find_preset(config)
    branches = preset.interactions if config.interactions is None else config.interactions
    head = config.head or preset.head
    if not branches:
        raise ConfigError("model.interactions must name at least one interaction; got []")
    repeated = [b for b in branches if branches.count(b) > 1]
    if repeated:
        raise ConfigError(f"model.interactions must not repeat a name; got {repeated[0]!r} twice")
    owners = {name: registry.parameters("interaction", name) for name in branches}
    others: tuple[tuple[Kind, str], ...] = (("head", head), ("table", config.table))
    for kind, name in others:
        parameters = registry.parameters(kind, name)
        if parameters.model_fields:
            owners[name] = parameters
    return config.model_copy(
        update={
            "interactions": tuple(branches),
            "head": head,
            "numeric_missing": config.numeric_missing or preset.numeric_missing,
            "parameters": _parameters(config, preset, owners),
        }
    )


def _parameters(
    config: ModelConfig, preset: Preset, owners: dict[str, type[BaseModel]]
) -> dict[str, dict[str, Any]]:
    """Return all parameters of each component: its defaults, the preset's, the user's."""
    for name in config.parameters:
        if name not in owners:
            raise ConfigError(
                f"model.{name}: the model has no such component{nearest(name, owners)} "
                f"(it has {', '.join(owners)})"
            )
    parameters = {}
    for name, owner in owners.items():
        values = {**preset.parameters.get(name, {}), **config.parameters.get(name, {})}
        try:
            parameters[name] = owner.model_validate(values).model_dump(mode="json")
        except ValidationError as error:
            raise ConfigError(validation_message(error, owner, within=f"model.{name}")) from None
    return parameters


def uses_batch_norm(config: ModelConfig) -> bool:
    """Whether a resolved model normalises over the batch, which micro-batches would change."""
    return any(branch.get("norm") == "batch" for branch in config.parameters.values())


def find_preset(config: ModelConfig) -> Preset:
    """Return the preset of a model; a registered interaction alone is a model too.

    Raises:
        UnknownNameError: Neither a model nor an interaction has the name.
        ConfigError: The model has no such preset.
    """
    if config.name not in PRESETS:
        if config.name in registry.names("interaction"):
            return Preset((config.name,))
        hint = nearest(config.name, [*PRESETS, *registry.names("interaction")])
        raise UnknownNameError(f"unknown model {config.name!r}{hint} (see: ctrkit list models)")
    presets = PRESETS[config.name]
    if config.preset not in presets:
        hint = nearest(config.preset, presets)
        raise ConfigError(
            f"model.preset of {config.name} must be one of {', '.join(presets)}; "
            f"got {config.preset!r}{hint}"
        )
    return presets[config.preset]
