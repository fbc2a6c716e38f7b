"""The contract of optimisers and of learning-rate schedules.

A test suite asserts on :func:`check_optimizer`; ``ctrkit check FILE`` prints its verdicts.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ctrkit.config.sections import TrainConfig
from ctrkit.nn.rows import RowParameter
from ctrkit.registry import registry
from ctrkit.testing.verdicts import Verdict, require, run_checks
from ctrkit.train.optimizers import Optimizers, build_optimizers
from ctrkit.train.schedule import learning_rate

ROWS, DIM, LR, STEPS = 12, 3, 0.01, 30
ZERO_ROW = 2


class _Table(RowParameter):
    """Rows that start equal in every instance."""

    def __init__(self, *, sparse: bool) -> None:
        draw = torch.Generator().manual_seed(0)
        weight = torch.randn(ROWS, DIM, generator=draw)  # (R, D)
        weight[ZERO_ROW] = 0
        super().__init__(weight, ZERO_ROW, sparse=sparse)
        self.train()


class _Training:
    """A table (or a matrix) that learns targets, row by row."""

    def __init__(self, name: str, *, sparse: bool = False, **changes: float) -> None:
        self.table = _Table(sparse=sparse)
        config = TrainConfig.model_validate({"optimizer": name, "lr": LR, **changes})
        self.optimizers: Optimizers = build_optimizers(self.table, config)
        self.target = torch.randn(ROWS, DIM, generator=torch.Generator().manual_seed(1))  # (R, D)

    def loss(self, rows: Tensor) -> Tensor:
        """Return the squared distance of some rows from their targets."""
        return (self.table.gather(rows) - self.target[rows]).square().sum()  # ()

    def distance(self) -> float:
        """Return the squared distance of all rows from their targets."""
        return float(self.loss(torch.arange(ROWS)).detach())

    def steps(self, count: int, rows: Tensor | None = None) -> None:
        """Train on some rows, or on all of them."""
        for _ in range(count):
            self.optimizers.zero_grad()
            wanted = torch.arange(ROWS) if rows is None else rows
            self.loss(wanted).backward()  # type: ignore[no-untyped-call]
            self.optimizers.step(LR)


def check_optimizer(name: str) -> list[Verdict]:
    """Run the contract suite on a registered optimiser.

    Checked: the loss falls; the same start gives the same weights; a saved state continues bit
    for bit; and what its row of the registry declares: updates of the touched rows alone,
    equal to dense ones while every row is touched; decoupled weight decay.
    """
    can = registry.entry("optimizer", name).can
    checks = {"learns": _learns, "deterministic": _deterministic, "resumes": _resumes}
    if "rowwise" in can:
        checks |= {"touched rows": _touched_rows, "rows equal dense": _rows_equal_dense}
    if "weight_decay" in can:
        checks |= {"weight decay": _weight_decay}
    return run_checks(name, name, checks)


def check_schedule(name: str) -> list[Verdict]:
    """Run the contract suite on a registered schedule.

    Checked: factors are finite and not negative from the first step to the last, before any epoch
    without gain and after some; the first one is not zero.
    """
    registry.get("schedule", name)
    return run_checks(name, name, {"factors": _factors})


def _learns(name: str) -> None:
    training = _Training(name)
    before = training.distance()
    training.steps(STEPS)
    after = training.distance()
    require(after < before, f"the loss must fall; it went from {before:.4f} to {after:.4f}")


def _deterministic(name: str) -> None:
    first, second = _Training(name), _Training(name)
    first.steps(STEPS)
    second.steps(STEPS)
    require(torch.equal(first.table.weight, second.table.weight), "two equal runs differ")


def _resumes(name: str) -> None:
    sparse = [False, True] if "rowwise" in registry.entry("optimizer", name).can else [False]
    for mode in sparse:
        whole, first, second = (_Training(name, sparse=mode) for _ in range(3))
        whole.steps(STEPS)
        first.steps(STEPS // 2)
        second.table.load_state_dict(first.table.state_dict())
        second.optimizers.load_state_dict(first.optimizers.state_dict())
        second.steps(STEPS - STEPS // 2)
        same = torch.equal(whole.table.weight, second.table.weight)
        require(same, "training that continues from a saved state differs")


def _touched_rows(name: str) -> None:
    training = _Training(name, sparse=True)
    before = training.table.weight.detach().clone()
    training.steps(STEPS, torch.tensor([1, 1, ZERO_ROW, 4]))
    moved = (training.table.weight != before).any(1).nonzero().flatten().tolist()
    require(moved == [1, 4], f"only the touched rows [1, 4] must change; changed {moved}")


def _rows_equal_dense(name: str) -> None:
    dense, sparse = _Training(name), _Training(name, sparse=True)
    dense.steps(STEPS)
    sparse.steps(STEPS)
    same = torch.allclose(dense.table.weight, sparse.table.weight, atol=1e-5)
    require(same, "row-wise updates of every row differ from dense ones")


def _weight_decay(name: str) -> None:
    matrix = nn.Linear(DIM, DIM, bias=False)
    config = TrainConfig(optimizer=name, lr=LR, weight_decay=0.5)
    optimizers = build_optimizers(matrix, config)
    before = matrix.weight.detach().clone()
    matrix.weight.grad = torch.zeros_like(matrix.weight)
    optimizers.step(LR)
    same = torch.allclose(matrix.weight, before * (1 - 0.5 * LR))
    require(same, "without a gradient, weights must shrink by the factor 1 - lr * weight_decay")


def _factors(name: str) -> None:
    config = TrainConfig(lr=1.0, schedule=name)
    rates = [learning_rate(config, s, 100, plateaus) for plateaus in (0, 3) for s in range(101)]
    require(all(math.isfinite(r) and r >= 0 for r in rates), "factors must be finite and >= 0")
    require(rates[0] > 0, "the first factor must be above 0")
