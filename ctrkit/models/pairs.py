"""Pairs of fields: their order, their configured operations, the pairs to memorize."""

from __future__ import annotations

from itertools import combinations

from ctrkit.config.sections import ModelConfig
from ctrkit.errors import ConfigError, nearest
from ctrkit.layout import Layout


def field_pairs(layout: Layout) -> list[tuple[int, int]]:
    """Return all pairs of positions i < j, in lexicographic order: the order of P everywhere."""
    return list(combinations(range(len(layout.fields)), 2))


def operations_of(config: ModelConfig, layout: Layout) -> list[str]:
    """Return the configured operation of each pair; nothing if none is configured.

    Raises:
        ConfigError: A pair is named twice, or a field is not in the layout.
    """
    if config.operations is None:
        return []
    names = layout.names
    chosen: dict[tuple[int, int], str] = {}
    for operation in config.operations:
        for name in operation.fields:
            if name not in names:
                hint = nearest(name, names)
                raise ConfigError(f"model.pairs: the data has no field {name!r}{hint}")
        i, j = sorted(names.index(name) for name in operation.fields)
        if i == j or (i, j) in chosen:
            pair = " x ".join(operation.fields)
            raise ConfigError(
                f"model.pairs must name two different fields, each pair once; got {pair}"
            )
        chosen[i, j] = operation.op
    return [chosen.get(pair, "naive") for pair in field_pairs(layout)]


def memorized_pairs(config: ModelConfig, layout: Layout) -> list[tuple[int, int]]:
    """Return the pairs whose crosses a resolved model memorizes."""
    if "pairs" not in (config.interactions or ()):
        return []
    pairs = field_pairs(layout)
    ops = operations_of(config, layout) or [config.parameters["pairs"]["op"]] * len(pairs)
    return [pair for pair, op in zip(pairs, ops, strict=True) if op == "memorize"]
