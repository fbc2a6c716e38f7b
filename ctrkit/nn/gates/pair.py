"""``PairGate`` (OptInter): for each pair of fields, a relaxed choice of how to model it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from ctrkit.nn.gates.base import Gate, GateOptimizer

Relaxation = Literal["softmax", "gumbel"]

OPS = ("memorize", "factorize", "naive")
"""The choices, in the order of the gate's columns."""
FLOOR = 0.01
"""Lowest temperature."""


class PairGate(Gate):
    """Probabilities of the three choices: ``softmax((alpha + noise) / tau)``.

    Source: OptInter (Lyu et al., ICDE 2022, arXiv:2108.01265); (I4) of ``docs/methods.md``.
    ``gumbel`` adds Gumbel noise in training (the paper), ``softmax`` adds none (its code). The
    temperature depends on the training step alone. ``alpha`` is float32 under every precision.

    Shape:
        -> ``(P, 3)`` float32, columns as :data:`OPS`.
    """

    cost: Tensor
    noise: Tensor

    def __init__(
        self,
        pairs: int,
        *,
        relaxation: Relaxation = "softmax",
        slope: float | None = None,
        floor: float = FLOOR,
        reached: float = 0.8,
        lr: float = 1e-3,
        random_start: bool = False,
        cost: Sequence[float] | None = None,
        budget: float | None = None,
    ) -> None:
        """Start with equal probabilities.

        Args:
            pairs: P.
            relaxation: Whether training adds noise.
            slope: What the temperature loses per step (the paper: 5e-5); None: it reaches its
                floor at the share ``reached`` of the planned steps.
            floor: Lowest temperature.
            reached: See ``slope``.
            lr: Learning rate of Adam.
            random_start: Draw alpha (Xavier normal, as the paper's code) instead of zeros.
            cost: Bytes that memorizing each pair takes.
            budget: Bytes that the memorized pairs may take together; None: any number.
        """
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(pairs, len(OPS)))  # alpha (P, 3)
        if random_start and pairs:
            nn.init.xavier_normal_(self.weight)
        self.relaxation, self.slope, self.floor, self.reached = relaxation, slope, floor, reached
        self.lr, self.budget = lr, budget
        self.optimizer = GateOptimizer("adam", lr, {"fused": False})
        bytes_ = torch.zeros(pairs) if cost is None else torch.as_tensor(cost).float()  # (P,)
        self.register_buffer("cost", bytes_, persistent=False)
        self.register_buffer("noise", torch.zeros(pairs, len(OPS)), persistent=False)
        self.tau, self.price = 1.0, 0.0

    def forward(self) -> Tensor:
        """Return the probabilities."""
        alpha = self.weight.float()
        if self.training and self.relaxation == "gumbel":
            alpha = alpha + self.noise
        return torch.softmax(alpha / self.tau, dim=1)  # (P, 3)

    def advance(self, step: int, total_steps: int, epoch: int) -> None:
        """Set the temperature of a training step and draw its noise."""
        slope = self.slope
        if slope is None:
            slope = (1 - self.floor) / max(1.0, self.reached * (total_steps - 1))
        self.tau = max(self.floor, 1 - slope * step)
        if self.relaxation == "gumbel":
            self.noise = -torch.log(-torch.log(torch.rand_like(self.noise).clamp_(1e-20, 1 - 1e-7)))

    @torch.no_grad()
    def spent(self) -> float:
        """Return the expected cost of the memorized pairs, without noise."""
        soft = torch.softmax(self.weight.float() / self.tau, dim=1)[:, 0]  # (P,)
        return float((soft * self.cost).sum())

    @torch.no_grad()
    def regularise(self) -> None:
        """Add the gradient of ``price * max(0, spent / budget - 1)`` in place."""
        if self.budget is None or self.spent() <= self.budget:
            return
        with torch.enable_grad():
            alpha = self.weight.detach().requires_grad_()
            soft = torch.softmax(alpha / self.tau, dim=1)[:, 0]  # (P,)
            excess = self.price * (soft * self.cost).sum() / self.budget
            (push,) = torch.autograd.grad(excess, alpha)
        self.weight.grad = push if self.weight.grad is None else self.weight.grad + push

    def derive(self) -> list[str]:
        """Return the operation of each pair: the largest alpha, within the budget.

        Where the memorized pairs exceed the budget, the pairs that lose the least alpha per byte
        take their second choice, until the others fit.
        """
        alpha = self.weight.detach().double().cpu()
        best = alpha.argmax(dim=1).tolist()
        ops = [OPS[k] for k in best]
        if self.budget is None:
            return ops
        cost = self.cost.double().cpu()
        memorized = [p for p, op in enumerate(ops) if op == OPS[0]]
        rest, second = alpha[:, 1:].max(dim=1)
        margin = ((alpha[:, 0] - rest) / cost.clamp(min=1e-30)).tolist()
        spent = float(cost[memorized].sum())
        for p in sorted(memorized, key=lambda p: (margin[p], -float(cost[p]))):
            if spent <= self.budget:
                break
            ops[p] = OPS[1 + int(second[p])]
            spent -= float(cost[p])
        return ops
