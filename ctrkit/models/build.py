"""From a configuration and a layout to a module."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from ctrkit.components import Kind
from ctrkit.config.sections import ModelConfig
from ctrkit.data.hashing import field_salt, pair_salt
from ctrkit.errors import ConfigError
from ctrkit.layout import Layout
from ctrkit.models.model import Model
from ctrkit.models.pairs import field_pairs, operations_of
from ctrkit.models.resolve import resolve_model
from ctrkit.nn.branches import Branch, describe_branch
from ctrkit.nn.crosses import CrossTable
from ctrkit.nn.tables.base import CodedField, EmbeddingTable
from ctrkit.registry import facts_of, registry


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
        config: Configuration of the model; resolved first if it is not.
        layout: The encoded fields.
        seed: Seed of the weights and of hashed addressing.
        sparse_from: Rows from which a table is updated row-wise.
        ops: In a search, the operation of each pair, in place of ``config.operations``.

    Raises:
        ConfigError: ``config.operations`` names a field or pair that is not in the layout, or a
            component breaks the contract of its kind.
    """
    config = resolve_model(config)
    assert config.interactions is not None
    assert config.head is not None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        facts = {
            "fields": len(layout.fields),
            "dim": config.dim,
            "names": layout.names,
            "second_dim": config.second_dim,
            "pairs": field_pairs(layout),
            "ops": list(ops) or operations_of(config, layout),
        }
        branches = nn.ModuleDict()
        described = []
        for name in config.interactions:
            branch = _component("interaction", name, facts, config.parameters[name])
            described.append(describe_branch(name, branch))
            branches[name] = branch
        tables = _tables(config, layout, described, seed, sparse_from)
        widths = [branch.out_dim for branch in described if branch.out_dim]
        if not widths:
            raise ConfigError("the model has nothing to learn: none of its branches has an output")
        head_parameters = config.parameters.get(config.head, {})
        head = _component("head", config.head, {"widths": widths}, head_parameters)
        if not isinstance(head, nn.Module):
            raise ConfigError(f"head {config.head!r} must be a torch.nn.Module")
        crossed = sorted({pair for branch in described for pair in branch.crossed})
        return Model(
            layout,
            tables,
            branches,
            head,
            crosses=_crosses(config, layout, crossed, seed, sparse_from),
            embedding_dropout=config.embedding_dropout,
            learn_missing=config.numeric_missing == "learned",
        )


def _tables(
    config: ModelConfig, layout: Layout, branches: Iterable[Branch], seed: int, sparse_from: int
) -> nn.ModuleDict:
    """Make the tables that some branch reads."""
    coded = [
        CodedField(f.name, f.rows, f.hashed, partial(field_salt, f.name, seed))
        for f in layout.coded
    ]
    reads = {read for branch in branches for read in branch.reads}
    parameters = config.parameters.get(config.table, {})
    tables = nn.ModuleDict()
    # products of two second vectors are as large at the start as a vector of the fields
    for read, dim, std in (
        ("fields", config.dim, 0.01),
        ("weights", 1, 0.01),
        ("second", config.second_dim, 0.1),
    ):
        if read not in reads:
            continue
        facts = {
            "coded": coded,
            "dim": dim,
            "rows": config.rows,
            "sparse_from": sparse_from,
            "std": std,
        }
        table = _component("table", config.table, facts, parameters)
        if not isinstance(table, EmbeddingTable):
            base = f"{EmbeddingTable.__module__}.EmbeddingTable"
            raise ConfigError(f"table {config.table!r} must be a subclass of {base}")
        tables[read] = table
    return tables


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
            raise ConfigError(
                "exact crosses were not counted for these pairs; ctrkit train counts them"
            )
        keys = layout.crosses.keys
    return CrossTable(
        pairs,
        [pair_salt(a, b, seed) for a, b in names],
        config.second_dim,
        singles=len(layout.fields) - len(layout.of_kind("multi")),
        edges=[f.edges for f in layout.of_kind("numeric")],
        rows=config.cross_rows,
        sizes=[f.cross_rows for f in layout.fields],
        keys=keys,
        sparse_from=sparse_from,
    )


def _component(
    kind: Kind, name: str, facts: Mapping[str, Any], parameters: Mapping[str, Any]
) -> Any:
    """Construct a component from facts, by name, and its hyper-parameters.

    Raises:
        ConfigError: It asks for a fact that components of its kind cannot have.
    """
    cls = registry.get(kind, name)
    typed = registry.parameters(kind, name).model_validate(parameters)
    wanted = facts_of(cls)
    for fact in wanted:
        if fact not in facts:
            raise ConfigError(
                f"{kind} {name!r}: positional parameters must be of {', '.join(facts)}; "
                f"got {fact!r} (hyper-parameters are keyword-only, after a *)"
            )
    return cls(*(facts[fact] for fact in wanted), **dict(typed))


def count_parameters(model: Model) -> dict[str, int]:
    """Count parameters.

    Returns:
        ``allocated``: all parameters; ``active``: without the reserved zero rows;
        ``table_rows``: rows of the largest table of values; ``cross_rows``: rows of crosses, if
        there are any.
    """
    allocated = sum(p.numel() for p in model.parameters())
    tables = [model.table(name) for name in model.tables]
    dropped = sum(table.dropped_rows * table.dim for table in tables)
    dropped += 0 if model.crosses is None else model.crosses.dim
    rows = max((table.rows for table in tables), default=0)
    counts = {"allocated": allocated, "active": allocated - dropped, "table_rows": rows}
    return {**counts, "cross_rows": model.crosses.shared} if model.crosses is not None else counts
