"""``ValueGate`` (OptFS): one gate per feature value decides which values keep their row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from ctrkit.nn.gates.base import Gate, GateOptimizer
from ctrkit.nn.rows import RowParameter
from ctrkit.schema import DROPPED

Schedule = Literal["step", "release", "paper"]
Rows = Tensor | slice
"""Numbers of gates, or a range of them."""

START = 0.5
"""Initial gate parameter of every value (OptFS's code)."""
MOST_DENSE = 20_000_000
"""With more values the penalty reaches only the values of a batch."""
_CHUNK = 1 << 18  # gates whose temporaries stay in the processor's cache


def temperature(schedule: Schedule, final: float, step: int, total: int, epoch: int) -> float:
    """Return the temperature tau.

    Args:
        schedule: ``release``: ``final^(t / (T - 1))`` and ``paper``: ``final^(t / T)`` in epoch t
            ((F3) and (F2) of ``docs/methods.md``: OptFS's code, and the paper); ``step``:
            ``final^(step / (total - 1))``.
        final: The last temperature, gamma.
        step: Steps done.
        total: Planned steps; with ``release`` and ``paper``: planned epochs T.
        epoch: The current epoch, t.
    """
    done = step if schedule == "step" else epoch
    last = total if schedule == "paper" else total - 1
    return float(final ** min(1.0, done / last)) if last > 0 else float(final)


def secant_slope(gates: Tensor, slope: Tensor, batch_rows: int) -> Tensor:
    """Return the mean slope of the loss between a closed gate and the current one.

    Vectors grow as their gates fall, so at the optimum the slope of the loss in a gate is zero
    however informative the value is. A value is worth what the loss rises without it:
    ``L(0) - L(s) = -s L'(s) + s^2 L''(s) / 2`` to second order; divided by ``-s`` this is the
    slope of the secant, ``L' - s L'' / 2``. With log loss the expected ``L''`` of a row is the
    square of its ``L'`` (empirical Fisher information), so one backward pass gives both.

    Args:
        gates: Current gates s, one per row and field.
        slope: Their gradients of the mean loss over the batch; all rows of about equal weight.
        batch_rows: Rows in the whole batch.
    """
    return slope - 0.5 * batch_rows * gates * slope.square()


class ValueGate(Gate, RowParameter):
    """One gate per value: ``sigmoid(g * tau) / sigmoid(0.5)``, which starts at 1.

    Source: OptFS (Lyu et al., WWW 2023, arXiv:2301.10909), section 3; (F1) of
    ``docs/methods.md``. ``g`` is float32 under every precision. A field gate is a bias that all
    values of a field share. Code 2 and fields without a vocabulary have no gate: their factor
    is 1.

    Attributes:
        cost: Factor of each gate's penalty ``(R + 1, 1)``; None: 1.
        learns: Per field, coded ones and then numbers, whether its gates ever got a gradient
            from the data.

    Shape:
        codes ``(B, F)`` int64 -> ``(B, F, 1)`` float32.
    """

    offsets: Tensor
    owners: Tensor | None
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
            numbers: Number of numeric fields, one gate each.
            epochs: Planned epochs T.
            schedule: Schedule of the temperature.
            final: Last temperature.
            penalty: Weight of the sum over all values of ``sigmoid(g * tau)``.
            fields: Whether each field has a gate too, a bias of its values' gates.
            update: ``adam`` (the paper), or ``descent`` by :func:`secant_slope`.
            lr: Learning rate of the gates; None: that of the model.
            eps: Adam's epsilon: smaller penalties have no effect (``docs/methods.md``, Optimisers).
            most_dense: See :data:`MOST_DENSE`.
        """
        rows = sum(sizes) + numbers + 1  # the last row is for what has no gate
        super().__init__(torch.full((rows, 1), START), sparse=rows > most_dense)
        self.sizes, self.numbers = tuple(sizes), numbers
        self.epochs, self.schedule, self.final, self.penalty = epochs, schedule, final, penalty
        options = {"eps": eps} if update == "adam" else {}
        self.optimizer = GateOptimizer(update, lr, options)
        starts = [sum(sizes[:i]) if n else -1 for i, n in enumerate(sizes)]
        self.register_buffer("offsets", torch.tensor(starts, dtype=torch.int64), persistent=False)
        self.bias = nn.Parameter(torch.zeros(len(sizes) + numbers, 1)) if fields else None
        widths = torch.tensor([*sizes, *([1] * numbers), 1])
        owners = torch.repeat_interleave(torch.arange(len(widths)), widths) if fields else None
        self.register_buffer("owners", owners, persistent=False)
        self.register_buffer("cost", None, persistent=False)
        self.tau, self.hard = 1.0, False
        self.learns = torch.zeros(len(sizes) + numbers, dtype=torch.bool)
        self.batch_rows = 0  # rows of the step's batch, where gates follow the secant

    @property
    def factor(self) -> float:
        """Factor of a kept value once gates are hard: ``1 / sigmoid(0.5)``."""
        return float(1 / torch.sigmoid(torch.tensor(START, dtype=torch.float64)))

    # ---- the relaxed choice

    def forward(self, codes: Tensor, fields: slice = slice(None)) -> Tensor:
        """Return the gates of codes of the fields in the slice."""
        last = len(self.weight) - 1
        starts = self.offsets[fields]
        ungated = (codes == DROPPED) | (starts < 0)
        rows = torch.where(ungated, last, codes + starts)  # (B, F)
        places = torch.arange(len(self.sizes), device=codes.device)[fields]
        gates = self._soft(self.gather(rows), places)  # (B, F, 1)
        gates = gates.masked_fill(ungated.unsqueeze(-1), 1.0)
        return self._hooked(gates, places)

    def of_numbers(self, count: int) -> Tensor:
        """Return the gates of the numeric fields for ``count`` rows ``(B, Fn, 1)``."""
        first = sum(self.sizes)
        rows = torch.arange(first, first + self.numbers, device=self.weight.device)
        places = torch.arange(self.numbers, device=rows.device) + len(self.sizes)
        gates = self._soft(self.gather(rows.unsqueeze(0)), places)  # (1, Fn, 1)
        return self._hooked(gates.expand(count, -1, -1), places)  # (B, Fn, 1)

    def _soft(self, g: Tensor, places: Tensor) -> Tensor:
        with torch.autocast(g.device.type, enabled=False):
            g = g.float() if self.bias is None else g.float() + self.bias[places]
            if self.hard:
                return (g > 0).to(g.dtype) * self.factor
            return torch.sigmoid(g * self.tau) * self.factor

    def _hooked(self, gates: Tensor, places: Tensor) -> Tensor:
        """Note which fields' gates get a gradient; turn it into the secant's if asked to."""
        where = places.cpu()
        noted = bool(self.learns[where].all())
        if not gates.requires_grad or (noted and not self.batch_rows):
            return gates
        values, batch_rows = gates.detach(), self.batch_rows

        def hook(grad: Tensor) -> Tensor:
            if not noted:
                self.learns[where] |= (grad != 0).any(0).squeeze(-1).cpu()
            return secant_slope(values, grad, batch_rows) if batch_rows else grad

        gates.register_hook(hook)  # type: ignore[no-untyped-call]
        return gates

    # ---- training

    def advance(self, step: int, total_steps: int, epoch: int) -> None:
        """Set the temperature of a training step."""
        total = total_steps if self.schedule == "step" else self.epochs
        self.tau = temperature(self.schedule, self.final, step, total, epoch)

    def start_batch(self, rows: int) -> None:
        """Take the number of rows of the step's batch, for gates that follow the secant."""
        self.batch_rows = rows if self.optimizer.name == "descent" else 0

    @torch.no_grad()
    def regularise(self) -> None:
        """Add the penalty's gradient, ``penalty * tau * sigmoid'(g * tau)``, in place.

        Sparse gates get theirs in :meth:`penalise`.
        """
        if self.sparse or self.hard:
            return
        if self.weight.grad is None:
            self.weight.grad = torch.zeros_like(self.weight)
        for start in range(0, len(self.weight), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            push = self._push(self.weight[chunk], chunk)
            self.weight.grad[chunk] += push
            if self.bias is not None and self.owners is not None:
                if self.bias.grad is None:
                    self.bias.grad = torch.zeros_like(self.bias)
                owners = self.owners[chunk]
                kept = owners < len(self.bias)
                self.bias.grad.index_add_(0, owners[kept], push[kept])

    def penalise(self, rows: Tensor, grad: Tensor, l2: float) -> None:
        """Add the penalty's gradient of some rows ``(U,)`` to ``grad (U, 1)`` in place; no L2."""
        grad += self._push(self.weight.detach()[rows], rows)

    def steps_per_touch(self, rows: Tensor) -> Tensor | None:
        """Return the rows' cost: rarely touched values make up for the steps between."""
        return None if self.cost is None else self.cost[rows].clamp(min=1)  # (U, 1)

    def _push(self, g: Tensor, rows: Rows) -> Tensor:
        if self.bias is not None and self.owners is not None:
            biases = torch.cat([self.bias.detach(), torch.zeros_like(self.bias[:1])])
            g = g + biases[self.owners[rows]]
        s = torch.sigmoid(g * self.tau)
        scale = self.tau * self.penalty
        push: Tensor = torch.ops.aten.sigmoid_backward(torch.full_like(s, scale), s)
        return push if self.cost is None else push * self.cost[rows]

    # ---- the decision

    @torch.no_grad()
    def values(self) -> Tensor:
        """Return the parameter of every value plus its field's bias: ``(R,)``."""
        g = self.weight.detach()[:-1, 0]  # (R,)
        if self.bias is None or self.owners is None:
            return g.clone()
        return g + self.bias.detach()[self.owners[:-1], 0]

    def by_field(self, values: Tensor) -> list[Tensor]:
        """Split a tensor over all values ``(R, ...)`` by field: coded ones, then numbers."""
        return list(torch.split(values, [*self.sizes, *([1] * self.numbers)]))

    def derive(self) -> list[Tensor]:
        """Return which values are kept, a mask per field: coded ones, then numbers."""
        return self.by_field(self.values() > 0)

    @torch.no_grad()
    def keep(self, kept: Tensor) -> None:
        """Harden: keep the values of a mask ``(R,)``; the gates stop learning."""
        self.weight[:-1, 0] = torch.where(kept.to(self.weight.device), 1.0, -1.0)
        if self.bias is not None:
            self.bias.zero_()
        self.hard = True
        self.requires_grad_(False)
        for p in self.parameters():
            p.grad = None
