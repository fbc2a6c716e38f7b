"""All optimisers of a model, stepped as one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ctrkit.config.sections import TrainConfig
from ctrkit.errors import ConfigError
from ctrkit.nn.gates.base import Gate
from ctrkit.nn.rows import RowParameter
from ctrkit.registry import registry
from ctrkit.train.optimizers.base import OptimizerKind, RowOptimizer


@dataclass(frozen=True)
class SparseRows:
    """A sparse table's optimiser.

    Attributes:
        optimizer: What updates the rows.
        lr: The table's own learning rate; None: that of the model.
    """

    optimizer: RowOptimizer
    lr: float | None = None


class Optimizers:
    """The optimisers of a model.

    Attributes:
        dense: Optimisers of parameters with ordinary gradients; gates have their own. Groups of
            gates have a key ``own_lr``.
        sparse: One per sparse table or gate, by module name.
        tables: Embedding tables with ordinary gradients, for L2.
    """

    def __init__(
        self,
        dense: Sequence[torch.optim.Optimizer],
        sparse: Mapping[str, SparseRows],
        tables: Sequence[RowParameter],
        config: TrainConfig,
    ) -> None:
        self.dense, self.sparse, self.tables, self.config = dense, sparse, tables, config

    def zero_grad(self) -> None:
        """Clear gradients and touched rows."""
        for optimizer in self.dense:
            optimizer.zero_grad(set_to_none=True)
        for rows in self.sparse.values():
            rows.optimizer.table.forget()
        for table in self.tables:
            table.forget()

    def step(self, lr: float) -> None:
        """Add L2, clip the norm of the whole gradient, update."""
        for rows in self.sparse.values():
            rows.optimizer.collect(self.config.l2)
        if self.config.l2:
            for table in self.tables:
                self._dense_l2(table)
        if self.config.clip_norm is not None:
            self._clip(self.config.clip_norm)
        for optimizer in self.dense:
            for group in optimizer.param_groups:
                group["lr"] = group.get("own_lr") or lr
            optimizer.step()
        for rows in self.sparse.values():
            rows.optimizer.step(rows.lr or lr)

    @torch.no_grad()
    def _dense_l2(self, table: RowParameter) -> None:
        weight = table.weight
        if weight.grad is None:
            return
        if self.config.l2_rows == "all":
            weight.grad.add_(weight, alpha=self.config.l2)
            return
        if table.touched_rows:
            rows = torch.unique(torch.cat([r.reshape(-1) for r in table.touched_rows]))  # (U,)
            rows = rows if table.zero_row is None else rows[rows != table.zero_row]
            weight.grad.index_add_(0, rows, weight.detach()[rows], alpha=self.config.l2)

    @torch.no_grad()
    def _clip(self, limit: float) -> None:
        grads = [p.grad for p in self._clipped() if p.grad is not None]
        collected = [rows.optimizer.grad for rows in self.sparse.values()]
        grads += [grad for grad in collected if grad is not None]
        if not grads:
            return
        norm = torch.stack([torch.linalg.vector_norm(g) for g in grads]).norm()  # ()
        scale = (limit / (norm + 1e-6)).clamp(max=1.0)
        for grad in grads:
            grad.mul_(scale)

    def _clipped(self) -> Iterator[Tensor]:
        for optimizer in self.dense:
            for group in optimizer.param_groups:
                if "own_lr" not in group:
                    yield from group["params"]

    def state_dict(self) -> dict[str, Any]:
        """Return the state of every optimiser."""
        return {
            "dense": [optimizer.state_dict() for optimizer in self.dense],
            "sparse": {name: rows.optimizer.state_dict() for name, rows in self.sparse.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that :meth:`state_dict` returned."""
        for optimizer, saved in zip(self.dense, state["dense"], strict=True):
            optimizer.load_state_dict(saved)
        for name, rows in self.sparse.items():
            rows.optimizer.load_state_dict(state["sparse"][name])


def build_optimizers(model: nn.Module, config: TrainConfig) -> Optimizers:
    """Build the optimisers of a model: ``train.optimizer``, and those that its gates ask for.

    Weight decay is decoupled and applies only to matrices of the network: not to tables, gates
    and biases. Gates have neither L2 nor decay nor clipping.

    Raises:
        UnknownNameError: No optimiser has the name.
        ConfigError: The optimiser cannot do what the configuration asks for.
    """
    kind = optimizer_kind(config.optimizer)
    modules = dict(model.named_modules())
    tables = {n: m for n, m in modules.items() if isinstance(m, RowParameter)}
    gates = [m for m in modules.values() if isinstance(m, Gate)]
    sparse = {name: table for name, table in tables.items() if table.sparse}
    plain = [t for t in tables.values() if not t.sparse and not isinstance(t, Gate)]
    _check(config, sparse)
    for table in plain:
        table.track_rows = bool(config.l2) and config.l2_rows == "touched"
    dense = []
    groups = _groups(model, tables.values(), gates, config.weight_decay)
    if groups:
        dense.append(kind.dense(groups, config.lr))
    for gate in gates:
        params = [p for p in gate.parameters() if p.requires_grad]
        if params:
            own = gate.optimizer
            gate_groups = [{"params": params, "own_lr": own.lr}]
            dense.append(_kind_of(gate).dense(gate_groups, own.lr or config.lr))
    return Optimizers(dense, {n: _sparse_rows(t, kind) for n, t in sparse.items()}, plain, config)


def optimizer_kind(name: str, options: Mapping[str, Any] | None = None) -> OptimizerKind:
    """Return a registered optimiser.

    Raises:
        UnknownNameError: No optimiser has the name.
        ConfigError: What is registered is not an :class:`OptimizerKind`.
    """
    kind = registry.get("optimizer", name)(**(options or {}))
    if not isinstance(kind, OptimizerKind):
        where = f"{OptimizerKind.__module__}.{OptimizerKind.__qualname__}"
        raise ConfigError(f"optimizer {name!r} must be a subclass of {where}")
    return kind


def _kind_of(gate: Gate) -> OptimizerKind:
    return optimizer_kind(gate.optimizer.name, gate.optimizer.options)


def _sparse_rows(table: RowParameter, kind: OptimizerKind) -> SparseRows:
    if isinstance(table, Gate):
        return SparseRows(_kind_of(table).of_rows(table), table.optimizer.lr)
    return SparseRows(kind.of_rows(table))


def _check(config: TrainConfig, sparse: Mapping[str, RowParameter]) -> None:
    """Refuse what the optimiser, or a row-wise update, cannot do."""
    can = registry.entry("optimizer", config.optimizer).can
    if config.weight_decay and "weight_decay" not in can:
        raise ConfigError(
            f"train.weight_decay must be 0 with train.optimizer = {config.optimizer!r}, which has "
            f"no weight decay; got {config.weight_decay:g}"
        )
    if any(not isinstance(table, Gate) for table in sparse.values()) and "rowwise" not in can:
        raise ConfigError(
            f"train.optimizer {config.optimizer!r} cannot update tables row-wise; choose another, "
            f"or raise train.sparse_from (now {config.sparse_from})"
        )
    if sparse and config.l2 and config.l2_rows == "all":
        raise ConfigError(
            "train.l2_rows = 'all' updates every row in every step, but this table is updated "
            f"row-wise; use 'touched', or raise train.sparse_from (now {config.sparse_from})"
        )


def _groups(
    model: nn.Module, tables: Iterable[RowParameter], gates: Sequence[Gate], weight_decay: float
) -> list[dict[str, Any]]:
    """Return the parameter groups of the model without its gates: with and without decay."""
    undecayed = {id(p) for table in tables for p in table.parameters()}
    gated = {id(p) for gate in gates for p in gate.parameters()}
    trained = [p for p in model.parameters() if p.requires_grad and id(p) not in gated]
    decayed = [p for p in trained if p.ndim >= 2 and id(p) not in undecayed]
    names = {id(p) for p in decayed}
    others = [p for p in trained if id(p) not in names]
    groups = [
        {"params": decayed, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]
