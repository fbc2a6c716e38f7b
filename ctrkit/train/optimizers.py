"""Adam for the network, and Adam on touched rows alone for large tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

from ctrkit.config.sections import TrainConfig
from ctrkit.errors import ConfigError

BETAS, EPS = (0.9, 0.999), 1e-8


class RowwiseAdam:
    """Adam that touches the step's rows only ("lazy"): its cost does not grow with the table.

    Equal to Adam while every row is touched in every step. A row that was not touched keeps its
    moments; the bias correction counts all steps. The gradient of a repeated row is summed first.
    """

    def __init__(self, table: nn.Module) -> None:
        self.table = cast(Any, table)
        self.weight: Tensor = self.table.weight
        self.mean = torch.zeros_like(self.weight, dtype=torch.float32)  # (R, D)
        self.square = torch.zeros_like(self.weight, dtype=torch.float32)  # (R, D)
        self.steps = 0
        self.rows: Tensor | None = None
        self.grad: Tensor | None = None

    def collect(self, l2: float) -> None:
        """Sum the gradients that the backward passes left into one row each, and add L2."""
        parts = [(r.reshape(-1), g.grad) for r, g in self.table.touched if g.grad is not None]
        self.table.touched.clear()
        self.rows = self.grad = None
        if not parts:
            return
        every = torch.cat([rows for rows, _ in parts])  # (T,)
        width = self.weight.shape[1]
        grads = torch.cat([cast(Tensor, g).reshape(-1, width).float() for _, g in parts])  # (T, D)
        rows, place = torch.unique(every, return_inverse=True)  # (U,), (T,)
        grad = grads.new_zeros(len(rows), width).index_add_(0, place, grads)  # (U, D)
        keep = _not_zero_row(self.table, rows)
        if keep is not None:
            rows, grad = rows[keep], grad[keep]
        if hasattr(self.table, "penalise"):
            self.table.penalise(rows, grad)
        elif l2:
            grad.add_(self.weight.detach()[rows], alpha=l2)
        self.rows, self.grad = rows, grad

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Update the collected rows."""
        self.steps += 1
        if self.rows is None or self.grad is None:
            return
        rows, grad = self.rows, self.grad
        if getattr(self.table, "descends", False):
            self.table.descend(rows, grad)
            return
        mean = self.mean[rows].lerp_(grad, 1 - BETAS[0])
        square = self.square[rows].mul_(BETAS[1]).addcmul_(grad, grad, value=1 - BETAS[1])
        self.mean[rows], self.square[rows] = mean, square
        scale = (1 - BETAS[1] ** self.steps) ** 0.5
        change = mean / (square.sqrt_().div_(scale).add_(EPS))
        self.weight.index_add_(0, rows, change, alpha=-lr / (1 - BETAS[0] ** self.steps))
        self.rows = self.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Return the moments and the count of steps."""
        return {"mean": self.mean, "square": self.square, "steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state."""
        self.mean.copy_(state["mean"])
        self.square.copy_(state["square"])
        self.steps = state["steps"]


class Optimizers:
    """All optimisers of a model, stepped as one.

    Args:
        dense: Optimisers of parameters with ordinary gradients.
        sparse: One per row-wise table, by name.
        tables: Embedding tables with ordinary gradients (for L2).
    """

    def __init__(
        self,
        dense: list[torch.optim.Optimizer],
        sparse: dict[str, RowwiseAdam],
        tables: list[nn.Module],
        config: TrainConfig,
    ) -> None:
        self.dense, self.sparse, self.tables, self.config = dense, sparse, tables, config

    def zero_grad(self) -> None:
        """Forget gradients and touched rows."""
        for optimizer in self.dense:
            optimizer.zero_grad(set_to_none=True)
        for rowwise in self.sparse.values():
            rowwise.table.touched.clear()
        for table in self.tables:
            _noted_rows(table).clear()

    def step(self, lr: float) -> None:
        """Add L2, clip the gradient as a whole, update."""
        for rowwise in self.sparse.values():
            rowwise.collect(self.config.l2)
        if self.config.l2:
            for table in self.tables:
                self._dense_l2(cast(Any, table))
        if self.config.clip_norm is not None:
            self._clip(self.config.clip_norm)
        for optimizer in self.dense:
            for group in optimizer.param_groups:
                group["lr"] = group.get("own_lr") or lr
            optimizer.step()
        for rowwise in self.sparse.values():
            rowwise.step(getattr(rowwise.table, "lr", None) or lr)

    @torch.no_grad()
    def _dense_l2(self, table: Any) -> None:
        weight: Tensor = table.weight
        if weight.grad is None:
            return
        if self.config.l2_rows == "all":
            weight.grad.add_(weight, alpha=self.config.l2)
            return
        noted = _noted_rows(table)
        if noted:
            rows = torch.unique(torch.cat([r.reshape(-1) for r in noted]))  # (U,)
            keep = _not_zero_row(table, rows)
            rows = rows if keep is None else rows[keep]
            weight.grad.index_add_(0, rows, weight.detach()[rows], alpha=self.config.l2)

    @torch.no_grad()
    def _clip(self, limit: float) -> None:
        grads = [p.grad for p in self._parameters() if p.grad is not None]
        grads += [r.grad for r in self.sparse.values() if r.grad is not None]
        if not grads:
            return
        norm = torch.stack([torch.linalg.vector_norm(g) for g in grads]).norm()  # ()
        scale = (limit / (norm + 1e-6)).clamp(max=1.0)
        for grad in grads:
            grad.mul_(scale)

    def _parameters(self) -> Iterable[Tensor]:
        for optimizer in self.dense:
            for group in optimizer.param_groups:
                if "own_lr" not in group:
                    yield from group["params"]

    def state_dict(self) -> dict[str, Any]:
        """Return every optimiser's state."""
        return {
            "dense": [optimizer.state_dict() for optimizer in self.dense],
            "sparse": {name: r.state_dict() for name, r in self.sparse.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state."""
        for optimizer, part in zip(self.dense, state["dense"], strict=True):
            optimizer.load_state_dict(part)
        for name, rowwise in self.sparse.items():
            rowwise.load_state_dict(state["sparse"][name])


def find_tables(model: nn.Module) -> dict[str, nn.Module]:
    """Return the embedding tables of a model by their module name."""
    found = model.named_modules()
    return {n: m for n, m in found if hasattr(m, "touched") and hasattr(m, "sparse")}


def build_optimizers(model: nn.Module, config: TrainConfig) -> Optimizers:
    """Build Adam for what has gradients and :class:`RowwiseAdam` for each sparse table.

    Weight decay is decoupled and falls on matrices of the network alone. A module with a method
    ``own_optimizer()`` (a gate) has its own, without L2, decay and clipping; its groups may have
    an ``own_lr``.

    Raises:
        ConfigError: ``l2_rows = "all"`` with a row-wise table.
    """
    tables = find_tables(model)
    sparse = {n: RowwiseAdam(t) for n, t in tables.items() if cast(Any, t).sparse}
    owners = [cast(Any, m) for m in model.modules() if hasattr(m, "own_optimizer")]
    own = [m.own_optimizer() for m in owners if any(p.requires_grad for p in m.parameters())]
    plain = [t for n, t in tables.items() if n not in sparse and t not in owners]
    if sparse and config.l2 and config.l2_rows == "all":
        raise ConfigError(
            "train.l2_rows = 'all' updates every row in every step, but this table is updated "
            f"row-wise; use 'touched', or raise train.sparse_from (now {config.sparse_from})"
        )
    for table in plain:
        cast(Any, table).track_rows = bool(config.l2) and config.l2_rows == "touched"
    exempt = {id(p) for t in tables.values() for p in t.parameters()}
    apart = {id(p) for m in owners for p in m.parameters()}
    trained = [p for p in model.parameters() if p.requires_grad and id(p) not in apart]
    decayed = [p for p in trained if p.ndim >= 2 and id(p) not in exempt]
    names = {id(p) for p in decayed}
    others = [p for p in trained if id(p) not in names]
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    groups = [g for g in groups if g["params"]]
    dense: list[torch.optim.Optimizer] = []
    if groups:
        dense = [torch.optim.AdamW(groups, config.lr, BETAS, EPS, fused=True)]
    return Optimizers([*dense, *own], sparse, plain, config)


def _noted_rows(table: nn.Module) -> list[Tensor]:
    return cast(list[Tensor], getattr(table, "touched_rows", []))


def _not_zero_row(table: nn.Module, rows: Tensor) -> Tensor | None:
    """Return a mask (U,) without the row of pruned values, or None where no row is such."""
    zero = getattr(table, "zero_row", None)
    return None if zero is None else rows != zero
