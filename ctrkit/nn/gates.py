"""Gates: relaxed choices that harden. ``ValueGate`` (OptFS) decides which values earn their row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ctrkit.schema import DROPPED

Schedule = Literal["step", "release", "paper"]

START = 0.5
"""Initial gate parameter of every value (OptFS code)."""
MOST_DENSE = 20_000_000
"""Beyond as many values the penalty reaches the values of a batch only."""
_MOST = 0.05
_CHUNK = 1 << 18  # gates whose temporaries stay in the processor's cache


def temperature(schedule: Schedule, final: float, step: int, total: int, epoch: int) -> float:
    """Return the temperature tau.

    Args:
        schedule: ``release``: ``final^(t / (T - 1))`` and ``paper``: ``final^(t / T)`` of epoch t
            (OptFS, its code and its section 3.3); ``step``: ``final^(step / (total - 1))``.
        final: The last temperature, gamma.
        step: Steps done; for the epoch's schedules, ``total`` is the number of epochs T.
        total: Planned steps, or epochs.
        epoch: This epoch, t.
    """
    at, end = {"step": (step, total - 1), "release": (epoch, total - 1), "paper": (epoch, total)}[
        schedule
    ]
    return float(final ** min(1.0, at / end)) if end > 0 else float(final)


def secant_slope(gates: Tensor, slope: Tensor, batch_rows: int) -> Tensor:
    """Return the mean slope of the loss between a closed gate and the present one.

    Vectors grow as their gates fall, so at the optimum the slope of the loss in a gate is zero
    however much the value informs. What it is worth is the loss without it,
    ``L(0) - L(s) = -s L'(s) + s^2 L''(s) / 2``, to second order; divided by ``-s`` this is the
    secant's slope ``L' - s L'' / 2``. With log loss the expected ``L''`` of a row is the square of
    its ``L'`` (empirical Fisher), so one backward pass gives both.

    Args:
        gates: Present gates s, one per row and field.
        slope: Their gradients, of the mean loss over the batch; rows of about equal weight.
        batch_rows: Rows of the whole batch.
    """
    return slope - 0.5 * batch_rows * gates * slope.square()


class GateDescent(torch.optim.Optimizer):
    """Plain gradient descent with bounded steps: all gates share one scale.

    Adam divides by each gate's own gradients, and so forgets the penalty's size for thousands of
    steps after every occurrence of a value: what it drops depends on the number of steps. Here the
    sum of a value's gradients (:func:`secant_slope`) over the rows counts, what the value is worth
    in log loss, against the same penalty for all.
    """

    def __init__(self, params: Iterable[Tensor], lr: float, most: float = _MOST) -> None:
        """Take up parameters.

        Args:
            params: Gates.
            lr: Step per unit of gradient.
            most: Largest step of one gate.
        """
        super().__init__([{"params": list(params), "own_lr": lr}], {"lr": lr, "most": most})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Descend."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p -= (p.grad * group["own_lr"]).clamp_(-group["most"], group["most"])


class ValueGate(nn.Module):
    """One gate per value: ``sigmoid(g * tau) / sigmoid(0.5)``, 1 for every value at the start.

    Source: OptFS (Lyu et al., WWW 2023, arXiv:2301.10909). ``g`` is float32 under every precision.
    A field gate is a bias that all values of a field share. Code 2, and fields without a
    vocabulary, have no gate: their factor is 1.

    Shape:
        codes ``(B, F)`` int64 -> ``(B, F, 1)`` float32.
    """

    offsets: Tensor
    owners: Tensor
    cost: Tensor | None

    def __init__(
        self,
        sizes: Sequence[int],
        numbers: int = 0,
        *,
        epochs: int = 1,
        schedule: Schedule = "step",
        final: float = 1000.0,
        penalty: float = 0.0,
        fields: bool = False,
        update: Literal["adam", "descent"] = "adam",
        lr: float | None = None,
        eps: float = 1e-8,
        most_dense: int = MOST_DENSE,
    ) -> None:
        """Open every gate.

        Args:
            sizes: Codes of each coded field; 0: the field has no gates.
            numbers: Raw numeric fields, one gate each.
            epochs: Planned epochs T.
            schedule: Of the temperature.
            final: Its last value.
            penalty: Weight of the sum over all values of ``sigmoid(g * tau)``.
            fields: Whether fields have a gate of their own, a bias of their values' gates.
            update: ``adam`` (the paper's) or ``descent`` (:class:`GateDescent`, on secants).
            lr: Learning rate of the gates; None: that of the model.
            eps: Adam's; below it penalties fade (methods.md 1.5).
            most_dense: See :data:`MOST_DENSE`.
        """
        super().__init__()
        self.sizes, self.numbers = tuple(sizes), numbers
        self.epochs, self.schedule, self.final = epochs, schedule, final
        self.penalty, self.update, self.lr, self.eps = penalty, update, lr, eps
        rows = sum(sizes) + numbers + 1  # the last row is of what has no gate
        starts = [sum(sizes[:i]) for i in range(len(sizes))]
        starts = [s if n else -1 for s, n in zip(starts, sizes, strict=True)]
        self.register_buffer("offsets", torch.tensor(starts, dtype=torch.int64), persistent=False)
        self.sparse = rows > most_dense
        self.weight = nn.Parameter(torch.full((rows, 1), START), requires_grad=not self.sparse)
        self.bias = nn.Parameter(torch.zeros(len(sizes) + numbers, 1)) if fields else None
        widths = torch.tensor([*sizes, *([1] * numbers), 1])
        owners = torch.repeat_interleave(torch.arange(len(widths)), widths) if fields else None
        self.register_buffer("owners", owners, persistent=False)
        self.tau, self.hard = 1.0, False
        self.register_buffer("cost", None, persistent=False)
        self.touched: list[tuple[Tensor, Tensor]] = []
        self.learns = torch.zeros(len(sizes) + numbers, dtype=torch.bool)
        self.batch_rows = 0  # of the training step, where gates follow the secant

    @property
    def factor(self) -> float:
        """What a kept value is multiplied by once gates are hard: ``1 / sigmoid(0.5)``."""
        return float(1 / torch.sigmoid(torch.tensor(START, dtype=torch.float64)))

    # ---- the relaxed choice

    def forward(self, codes: Tensor, fields: slice = slice(None)) -> Tensor:
        """Return the gates of codes of the fields in the slice."""
        last = len(self.weight) - 1
        starts = self.offsets[fields]
        free = (codes == DROPPED) | (starts < 0)
        rows = torch.where(free, last, codes + starts)  # (B, F)
        places = torch.arange(len(self.sizes), device=codes.device)[fields]
        found = self._soft(self._gather(rows), places)  # (B, F, 1)
        found = found.masked_fill(free.unsqueeze(-1), 1.0)
        return self._watched(found, places)

    def of_numbers(self, count: int) -> Tensor:
        """Return the gates of the raw numeric fields for so many rows ``(B, Fn, 1)``."""
        first = sum(self.sizes)
        rows = torch.arange(first, first + self.numbers, device=self.weight.device)
        places = torch.arange(self.numbers, device=rows.device) + len(self.sizes)
        found = self._soft(self._gather(rows.unsqueeze(0)), places)  # (1, Fn, 1)
        return self._watched(found.expand(count, -1, -1), places)  # (B, Fn, 1)

    def _gather(self, rows: Tensor) -> Tensor:
        if not (self.sparse and self.training and torch.is_grad_enabled()):
            return F.embedding(rows, self.weight)  # (B, F, 1)
        flat = rows.reshape(-1)  # (B * F,)
        leaf = self.weight.detach()[flat].requires_grad_()  # (B * F, 1)
        self.touched.append((flat, leaf))
        return leaf.view(*rows.shape, 1)  # (B, F, 1)

    def _soft(self, g: Tensor, places: Tensor) -> Tensor:
        with torch.autocast(g.device.type, enabled=False):
            g = g.float() if self.bias is None else g.float() + self.bias[places]
            if self.hard:
                return (g > 0).to(g.dtype) * self.factor
            return torch.sigmoid(g * self.tau) * self.factor

    def _watched(self, found: Tensor, places: Tensor) -> Tensor:
        """Note which fields' gates get a gradient from the data; make it a secant's if asked."""
        where = places.cpu()
        learnt = bool(self.learns[where].all())
        if not found.requires_grad or (learnt and not self.batch_rows):
            return found
        gates, batch_rows = found.detach(), self.batch_rows

        def see(grad: Tensor) -> Tensor:
            if not learnt:
                self.learns[where] |= (grad != 0).any(0).squeeze(-1).cpu()
            return secant_slope(gates, grad, batch_rows) if batch_rows else grad

        found.register_hook(see)  # type: ignore[no-untyped-call]
        return found

    # ---- training

    def own_optimizer(self) -> torch.optim.Optimizer:
        """Return the gates' own optimiser; row-wise gates are updated by the tables' one."""
        params = [p for p in self.parameters() if p.requires_grad]
        if self.update == "descent":
            assert self.lr is not None
            return GateDescent(params, self.lr)
        groups = [{"params": params, "own_lr": self.lr}]
        return torch.optim.Adam(groups, self.lr or 1e-3, (0.9, 0.999), self.eps, fused=True)

    def advance(self, step: int, total_steps: int, epoch: int) -> None:
        """Set the temperature of a training step."""
        total = total_steps if self.schedule == "step" else self.epochs
        self.tau = temperature(self.schedule, self.final, step, total, epoch)

    def meet(self, rows: int) -> None:
        """Say how many rows the step's batch has; descending gates follow the secant then."""
        self.batch_rows = rows if self.update == "descent" else 0

    @torch.no_grad()
    def regularise(self) -> None:
        """Add the penalty's gradient, ``penalty * tau * sigmoid'(g * tau)``, in place."""
        if self.sparse or self.hard:
            return
        if self.weight.grad is None:
            self.weight.grad = torch.zeros_like(self.weight)
        for start in range(0, len(self.weight), _CHUNK):
            part = slice(start, start + _CHUNK)
            push = self._push(self.weight[part], part)
            self.weight.grad[part] += push
            if self.bias is not None and self.owners is not None:
                if self.bias.grad is None:
                    self.bias.grad = torch.zeros_like(self.bias)
                owners = self.owners[part]
                kept = owners < len(self.bias)
                self.bias.grad.index_add_(0, owners[kept], push[kept])

    def penalise(self, rows: Tensor, grad: Tensor) -> None:
        """Add the penalty's gradient of some rows ``(U,)`` to ``grad (U, 1)`` in place."""
        grad += self._push(self.weight.detach()[rows], rows)

    @property
    def descends(self) -> bool:
        """Whether rows are updated by :meth:`descend`, not by Adam."""
        return self.update == "descent"

    @torch.no_grad()
    def descend(self, rows: Tensor, grad: Tensor) -> None:
        """Do the step of :class:`GateDescent` on some rows ``(U,)`` by their ``grad (U, 1)``."""
        assert self.lr is not None
        most = torch.full_like(grad, _MOST)
        if self.cost is not None:  # a rare touch stands for many steps
            most *= self.cost[rows].clamp(min=1)
        self.weight[rows] -= (grad * self.lr).clamp(-most, most)

    def _push(self, g: Tensor, rows: Any) -> Tensor:
        if self.bias is not None and self.owners is not None:
            every = torch.cat([self.bias.detach(), torch.zeros_like(self.bias[:1])])
            g = g + every[self.owners[rows]]
        s = torch.sigmoid(g * self.tau)
        scale = self.tau * self.penalty
        push = torch.ops.aten.sigmoid_backward(torch.full_like(s, scale), s)
        return cast(Tensor, push if self.cost is None else push * self.cost[rows])

    # ---- the decision

    @torch.no_grad()
    def values(self) -> Tensor:
        """Return the parameter of every value, its field's bias added: ``(R,)``."""
        g = self.weight.detach()[:-1, 0]  # (R,)
        if self.bias is None or self.owners is None:
            return g.clone()
        return g + self.bias.detach()[self.owners[:-1], 0]

    def by_field(self, every: Tensor) -> list[Tensor]:
        """Part a tensor over all values ``(R, ...)`` by field: coded ones, then numbers."""
        return list(torch.split(every, [*self.sizes, *([1] * self.numbers)]))

    def derive(self) -> list[Tensor]:
        """Return which values are kept, a mask per field: coded ones, then numbers."""
        return self.by_field(self.values() > 0)

    @torch.no_grad()
    def keep(self, kept: Tensor) -> None:
        """Harden: keep the values of a mask ``(R,)``; gates learn no more."""
        self.weight[:-1, 0] = torch.where(kept.to(self.weight.device), 1.0, -1.0)
        if self.bias is not None:
            self.bias.zero_()
        self.hard = True
        self.requires_grad_(False)
        for p in self.parameters():
            p.grad = None
