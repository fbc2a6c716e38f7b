"""From a configuration and a layout to a module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, cast

import torch
from pydantic import ValidationError
from torch import nn

from ctrkit.config.messages import validation_message
from ctrkit.config.sections import ModelConfig
from ctrkit.data.encode.crosses import cross_rows
from ctrkit.data.hashing import field_salt, pair_salt
from ctrkit.errors import ConfigError, UnknownNameError, nearest
from ctrkit.layout import Layout, LayoutField
from ctrkit.models.model import Model, reads_of
from ctrkit.models.presets import PRESETS, Preset
from ctrkit.nn.crosses import CrossTable
from ctrkit.nn.embedding import EmbeddingTable
from ctrkit.registry import facts_of, registry


def resolve_model(config: ModelConfig) -> ModelConfig:
    """Apply the preset and fill every parameter of every branch.

    Raises:
        UnknownNameError: No model, interaction or head has the name.
        ConfigError: No preset, or no branch of the model, has the name; or a parameter is
            unknown or out of bounds.
    """
    preset = find_preset(config)
    branches = preset.interactions if config.interactions is None else config.interactions
    head = config.head or preset.head
    if not branches:
        raise ConfigError("model.interactions names at least one interaction")
    twice = [b for b in branches if branches.count(b) > 1]
    if twice:
        raise ConfigError(f"model.interactions names {twice[0]!r} twice")
    owners = {name: registry.parameters("interaction", name) for name in branches}
    head_type = registry.parameters("head", head)
    if head_type.model_fields:
        owners[head] = head_type
    for name in config.parameters:
        if name not in owners:
            known = ", ".join(owners)
            raise ConfigError(
                f"model.{name}: the model has no such branch{nearest(name, owners)}; it has {known}"
            )
    parameters = {}
    for name, owner in owners.items():
        given = {**preset.parameters.get(name, {}), **config.parameters.get(name, {})}
        try:
            parameters[name] = owner.model_validate(given).model_dump(mode="json")
        except ValidationError as error:
            raise ConfigError(validation_message(error, owner, within=f"model.{name}")) from None
    return config.model_copy(
        update={
            "interactions": tuple(branches),
            "head": head,
            "numeric_missing": config.numeric_missing or preset.numeric_missing,
            "parameters": parameters,
        }
    )


def uses_batch_norm(config: ModelConfig) -> bool:
    """Whether a resolved model normalises over the batch, which micro-batches would change."""
    return any(branch.get("norm") == "batch" for branch in config.parameters.values())


def find_preset(config: ModelConfig) -> Preset:
    """Return the preset of a model, or of a registered interaction alone."""
    if config.name not in PRESETS:
        if config.name in registry.names("interaction"):
            return Preset((config.name,))
        hint = nearest(config.name, [*PRESETS, *registry.names("interaction")])
        raise UnknownNameError(f"unknown model {config.name!r}{hint} (see: ctrkit list models)")
    presets = PRESETS[config.name]
    if config.preset not in presets:
        hint = nearest(config.preset, presets)
        known = ", ".join(presets)
        raise ConfigError(
            f"model.preset of {config.name} is one of {known}; got {config.preset!r}{hint}"
        )
    return presets[config.preset]


def build_model(
    config: ModelConfig,
    layout: Layout,
    *,
    seed: int = 0,
    sparse_from: int = 2_000_000,
    ops: Sequence[str] = (),
) -> Model:
    """Build the module on the CPU; its initial weights depend on ``seed`` alone.

    Args:
        config: Of the model; it is resolved first where it is not.
        layout: The encoded fields.
        seed: Of the weights and of hashed addressing.
        sparse_from: Tables of at least this many rows are updated row-wise.
        ops: Of a search: the operation of each pair, in place of ``config.operations``.

    Raises:
        ConfigError: ``config.operations`` names a field or pair that the layout has not.
    """
    config = resolve_model(config)
    assert config.interactions is not None
    assert config.head is not None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        branches = nn.ModuleDict()
        facts = {
            "fields": len(layout.fields),
            "dim": config.dim,
            "second_dim": config.second_dim,
            "pairs": field_pairs(layout),
            "ops": list(ops) or operations_of(config, layout),
        }
        for name in config.interactions:
            branches[name] = _component("interaction", name, facts, config.parameters[name])
        reads = {read for branch in branches.values() for read in reads_of(branch)}
        tables = nn.ModuleDict(
            {
                read: build_table(config, layout, dim, seed, sparse_from, std)
                for read, dim, std in _tables(config)
                if read in reads
            }
        )
        crossed = {p for b in branches.values() for p in getattr(b, "crossed", ())}
        widths = [b.out_dim for b in branches.values() if b.out_dim]
        if not widths:
            raise ConfigError("no branch of the model has an output: nothing to learn")
        head_parameters = config.parameters.get(config.head, {})
        head = _component("head", config.head, {"widths": widths}, head_parameters)
        return Model(
            layout,
            tables,
            branches,
            head,
            crosses=_crosses(config, layout, sorted(crossed), seed, sparse_from),
            embedding_dropout=config.embedding_dropout,
            learn_missing=config.numeric_missing == "learned",
        )


def _tables(config: ModelConfig) -> tuple[tuple[str, int, float], ...]:
    # products of two second vectors are as large at the start as a vector of the fields
    return (("fields", config.dim, 0.01), ("weights", 1, 0.01), ("second", config.second_dim, 0.1))


def field_pairs(layout: Layout) -> list[tuple[int, int]]:
    """Return all pairs of positions i < j, in lexicographic order: the order of P everywhere."""
    return list(combinations(range(len(layout.fields)), 2))


def operations_of(config: ModelConfig, layout: Layout) -> list[str]:
    """Return the configured operation of each pair; none where nothing is configured.

    Raises:
        ConfigError: A pair is named twice, or names a field that the layout has not.
    """
    if config.operations is None:
        return []
    names, found = layout.names, {}
    for given in config.operations:
        for name in given.fields:
            if name not in names:
                hint = nearest(name, names)
                raise ConfigError(f"model.pairs: the data has no field {name!r}{hint}")
        i, j = sorted(names.index(name) for name in given.fields)
        if i == j or (i, j) in found:
            raise ConfigError(f"model.pairs: the pair {' x '.join(given.fields)} is no new pair")
        found[i, j] = given.op
    return [found.get(pair, "naive") for pair in field_pairs(layout)]


def memorized_pairs(config: ModelConfig, layout: Layout) -> list[tuple[int, int]]:
    """Return the pairs whose crosses a resolved model memorizes."""
    if "pairs" not in (config.interactions or ()):
        return []
    pairs = field_pairs(layout)
    ops = operations_of(config, layout) or [config.parameters["pairs"]["op"]] * len(pairs)
    return [pair for pair, op in zip(pairs, ops, strict=True) if op == "memorize"]


def _crosses(
    config: ModelConfig, layout: Layout, crossed: Sequence[int], seed: int, sparse_from: int
) -> CrossTable | None:
    if not crossed:
        return None
    pairs = [field_pairs(layout)[p] for p in crossed]
    names = [(layout.names[i], layout.names[j]) for i, j in pairs]
    keys = None
    if config.crosses == "exact":
        if layout.crosses is None or list(layout.crosses.pairs) != names:
            raise ConfigError("exact crosses were not counted for these pairs; train counts them")
        keys = layout.crosses.keys
    return CrossTable(
        pairs,
        [pair_salt(a, b, seed) for a, b in names],
        config.second_dim,
        singles=len(layout.fields) - len(layout.of_kind("multi")),
        edges=[f.edges for f in layout.of_kind("numeric")],
        rows=config.cross_rows,
        sizes=cross_rows(layout),
        keys=keys,
        sparse_from=sparse_from,
    )


def build_table(
    config: ModelConfig, layout: Layout, dim: int, seed: int, sparse_from: int, std: float = 0.01
) -> EmbeddingTable:
    """Make the table of one width for all coded fields."""
    fields = [f for f in layout.fields if f.kind != "numeric"]
    hashed = [_hashed_rows(config, f) for f in fields]
    total = sum(h or f.rows for h, f in zip(hashed, fields, strict=True))
    return EmbeddingTable(
        [f.rows for f in fields],
        [field_salt(f.name, seed, 0) for f in fields],
        dim,
        hashed=hashed,
        sparse=total >= sparse_from,
        std=std,
    )


def _hashed_rows(config: ModelConfig, field: LayoutField) -> int:
    """Return the rows that a field is hashed into, or 0 for a row per code."""
    if config.table == "full" and field.hashed:
        raise ConfigError(
            f"field {field.name!r} is hash-encoded and cannot have a full table; "
            "use model.table=auto, or encode it with a vocabulary"
        )
    if field.hashed or (config.table == "hashed" and field.rows > config.rows):
        return config.rows
    return 0


def _component(kind: Any, name: str, facts: Mapping[str, Any], parameters: dict[str, Any]) -> Any:
    cls = registry.get(kind, name)
    typed = registry.parameters(kind, name).model_validate(parameters)
    values = {key: getattr(typed, key) for key in type(typed).model_fields}
    return cls(*(facts[fact] for fact in facts_of(cls)), **values)


def count_parameters(model: Model) -> dict[str, int]:
    """Count parameters.

    Returns:
        ``allocated``: all there are; ``active``: without the reserved zero rows;
        ``table_rows``: rows of the largest table of values; ``cross_rows``: of crosses, if any.
    """
    allocated = sum(p.numel() for p in model.parameters())
    tables = [cast(EmbeddingTable, table) for table in model.tables.values()]
    dropped = sum(table.dropped_rows * table.dim for table in tables)
    dropped += 0 if model.crosses is None else model.crosses.dim
    rows = max((table.rows for table in tables), default=0)
    found = {"allocated": allocated, "active": allocated - dropped, "table_rows": rows}
    return {**found, "cross_rows": model.crosses.shared} if model.crosses is not None else found
