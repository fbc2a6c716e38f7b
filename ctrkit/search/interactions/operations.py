"""OptInter: an operation for each pair of fields, learned together with the model.

Source: Lyu et al., "Memorize, Factorize, or be Naive: Learning Optimal Feature Interaction Methods
for CTR Prediction", ICDE 2022, arXiv:2108.01265; see "OptInter" in ``docs/methods.md``, also for
what differs.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, softplus

from ctrkit.bundle.inputs import model_inputs, targets
from ctrkit.checksums import found_damaged, rewriting
from ctrkit.data.store.batch import Batch
from ctrkit.data.store.batches import Batches
from ctrkit.files import read_json, write_json
from ctrkit.models.model import Model
from ctrkit.nn.gates.pair import OPS, PairGate
from ctrkit.nn.interactions.pairs import UNDECIDED, Pairs
from ctrkit.records import Progress
from ctrkit.search.interactions.config import InteractionsConfig, InteractionSearchConfig
from ctrkit.train import Callback, Context, fit

DECISION = "found.json"
HELD_SHARE = 8
"""By how much the batches of the operations are smaller than those of the weights: 10 % of the rows
then last about as long as the other 90 %."""
PRICE_RATE = 0.05
"""How fast the price of memorizing rises per step, where the budget is exceeded by 50 %."""


class GateBatches(NamedTuple):
    """Training batches of a search over pairs.

    Attributes:
        weights: Batches from which the weights learn.
        operations: Batches from which the operations learn; None: the same as the weights.
    """

    weights: Batches
    operations: Batches | None = None


@dataclass(frozen=True)
class PairDecision:
    """Which operation a search chooses for each pair.

    Attributes:
        ops: The operations.
        probability: Of the three choices (P, 3), columns as :data:`OPS`; without noise, at
            temperature 1, where they still differ. Pairs that were not searched are naive.
        price: Last price of memorizing.
        seconds: Time of the search, evaluations excluded.
        steps: Training steps of the search.
    """

    ops: list[str]
    probability: npt.NDArray[np.float64]
    price: float
    seconds: float
    steps: int

    def save(self, folder: Path) -> None:
        """Write ``found.json``, which marks the search as done."""
        probability = self.probability.round(6).tolist()
        with rewriting(folder, DECISION, create=True):
            write_json(folder / DECISION, {**vars(self), "probability": probability})

    @classmethod
    def load(cls, folder: Path) -> PairDecision | None:
        """Return the decision of a finished search; None if it is not finished, or damaged."""
        path = folder / DECISION
        if not path.is_file() or found_damaged(folder, [DECISION]):
            return None
        data = read_json(path)
        return cls(**{**data, "probability": np.asarray(data["probability"])})


def open_pairs(
    model: Model, config: InteractionSearchConfig, steps: int, cost: Sequence[float] | None = None
) -> PairGate:
    """Give the undecided pairs of a model a gate.

    Args:
        model: A model that was built with ``undecided`` operations.
        config: ``[search]``.
        steps: Planned steps.
        cost: Bytes of memorizing each undecided pair; None: there is no budget.
    """
    branch = cast(Pairs, model.branches["pairs"])
    gate = PairGate(
        len(branch.crossed),
        relaxation=config.relaxation,
        slope=config.slope,
        lr=config.gate_lr or max(1e-3, 10.0 / steps),
        random_start=config.start == "random",
        cost=cost,
        budget=None if cost is None else float(config.budget),
    )
    branch.gate = gate
    return gate


def search_pairs(
    model: Model,
    batches: GateBatches,
    config: InteractionsConfig,
    *,
    cost: Sequence[float] | None = None,
    evaluate: Callable[[Any], dict[str, float]],
    callbacks: tuple[Callback, ...] = (),
    folder: Path | None = None,
    progress: Progress | None = None,
) -> PairDecision:
    """Train a model and the operations of its pairs together; return the decision.

    Args:
        model: A model with ``undecided`` pairs; those that are not searched are naive. It is
            trained.
        batches: Training batches.
        config: ``[train]`` and ``[search]``; the epochs are those of ``[search]``.
        cost: See :func:`open_pairs`.
        evaluate: See :func:`ctrkit.train.fit`.
        callbacks: Callbacks besides the gate's own.
        folder: Folder of checkpoints, from which an interrupted search resumes.
        progress: See :func:`ctrkit.train.fit`.
    """
    search, train = config.search, config.train
    paper = search.select == "best"
    loop = train.model_copy(
        update={
            "epochs": search.epochs,
            "patience": train.patience if paper else 0,
            "init": None,
            "lr": search.lr or train.lr,
        }
    )
    gate = open_pairs(model, search, batches.weights.steps() * search.epochs, cost)
    training = PairTraining(gate, batches.operations, search, train.monitor)
    result = fit(
        model,
        batches.weights,
        loop,
        evaluate=evaluate,
        callbacks=(training, *callbacks),
        folder=folder,
        progress=progress,
    )
    if not paper:
        assert training.chosen is not None, "the search ended before its last step"
        with torch.no_grad():
            gate.weight.copy_(training.chosen)
    branch = cast(Pairs, model.branches["pairs"])
    ops = [OPS[2]] * len(branch.pairs)
    probability = np.tile([0.0, 0.0, 1.0], (len(ops), 1))  # (P, 3)
    soft = torch.softmax(gate.weight.detach().double().cpu(), dim=1).numpy()
    for place, (pair, op) in enumerate(zip(branch.crossed, gate.derive(), strict=True)):
        ops[pair], probability[pair] = op, soft[place]
    seconds = result.steps * train.batch_size / result.examples_s
    return PairDecision(ops, probability, gate.price, seconds, result.steps)


class PairTraining(Callback):
    """Runs the gate: temperature, price, and in a bilevel search its steps on held-out rows.

    Args:
        gate: The gate over the searched pairs.
        held: Batches of held-out rows; None: the gate learns from the weights' batches.
        config: ``[search]``.
        monitor: Metric on validation that chooses the operations.
    """

    def __init__(
        self, gate: PairGate, held: Batches | None, config: InteractionSearchConfig, monitor: str
    ) -> None:
        self.gate, self.held, self.warmup = gate, held, config.warmup
        self.secant = config.worth == "secant"
        self.last, self.monitor = config.select == "last", monitor
        self.chosen: Tensor | None = None
        self.best = float("inf")
        self._stream: Generator[Batch, None, None] | None = None
        self._next = -1

    def step_start(self, context: Context, batch: Batch) -> None:
        """Set the temperature; it falls once the operations learn."""
        wait = self._wait(context)
        step = max(0, context.step - wait)
        self.gate.advance(step, context.total_steps - wait, context.epoch)

    def _wait(self, context: Context) -> int:
        return int(self.warmup * context.total_steps)

    def after_backward(self, context: Context) -> None:
        """Add the price of memorizing; in a bilevel search, drop the gradient of this batch."""
        if self.held is None and context.step >= self._wait(context):
            self._charge()
            self.gate.regularise()
        else:
            self.gate.weight.grad = None

    def step_end(self, context: Context) -> None:
        """Update the operations from held-out rows."""
        if self.held is not None and context.step > self._wait(context):
            self._learn(context, self._batch(self.held, context.step - 1))
        if context.step == context.total_steps:
            self._close()

    def evaluated(self, context: Context, line: Mapping[str, Any]) -> str | None:
        """Copy the operations of the best evaluation in the second half, or of the last one."""
        value = float(line[self.monitor]) * (-1 if self.monitor == "auc" else 1)
        late = 2 * context.step >= context.total_steps
        if late and (self.last or value < self.best or self.chosen is None):
            self.best, self.chosen = value, self.gate.weight.detach().cpu().clone()
        return None

    def _charge(self) -> None:
        """Raise the price while memorizing exceeds the budget (dual ascent; ours)."""
        if self.gate.budget is not None:
            over = min(self.gate.spent() / self.gate.budget - 1, 1.0)
            self.gate.price = max(0.0, self.gate.price + PRICE_RATE * 2 * over * self.gate.lr)

    def _learn(self, context: Context, batch: Batch) -> None:
        """Descend the loss of held-out rows in the operations alone (first order)."""
        model = cast(Model, context.model)
        device = self.gate.weight.device
        inputs = model_inputs(batch, device)
        label, weight = targets(batch, device)  # (B,)
        branch = cast(Pairs, model.branches["pairs"])
        branch.watch = self.secant
        logit = model(*inputs)  # (B,)
        if branch.watched is None:
            loss = binary_cross_entropy_with_logits(logit.float(), label, weight)
        else:
            soft = self.gate()  # (P, 3)
            loss = (soft * worth_slopes(logit, label, weight, branch.watched, soft)).sum()
        (slope,) = torch.autograd.grad(loss, self.gate.weight)
        branch.watch, branch.watched = False, None
        self.gate.weight.grad = slope
        self._charge()
        self.gate.regularise()
        _optimizer_of(self.gate, context).step()
        self.gate.weight.grad = None

    def _batch(self, held: Batches, step: int) -> Batch:
        """Return the held-out batch of a step, a function of the step alone."""
        epoch, at = divmod(step, held.steps())
        if self._stream is None or self._next != step or not at:
            self._close()
            self._stream = held.epoch(epoch, at)
        self._next = step + 1
        return next(self._stream)

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream = None

    def state_dict(self) -> dict[str, Any]:
        """Return temperature, price, noise and chosen operations; the model has the gate."""
        return {
            "tau": self.gate.tau,
            "price": self.gate.price,
            "noise": self.gate.noise,
            "chosen": self.chosen,
            "best": self.best,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state."""
        self.gate.tau, self.gate.price = state["tau"], state["price"]
        self.gate.noise.copy_(state["noise"])
        self.chosen, self.best = state["chosen"], state["best"]


def worth_slopes(
    logit: Tensor,
    label: Tensor,
    weight: Tensor | None,
    watched: tuple[Tensor, Tensor, Tensor],
    soft: Tensor,
) -> Tensor:
    """Return the secant of the mean loss between half a candidate's share and all of it (ours).

    The layer above adapts its scale to the shares, so that at the optimum the derivative of the
    loss with respect to a share is zero, however informative the candidate is. The loss without
    the candidate would show that, but overstates it where weights are overfitted; half of the
    share was better than either end on generated data. The logit is taken as linear in the share:
    for a share s and ``h = dz/ds``, ``(L(z) - L(z - h s / 2)) / (s / 2)``. Naive is worth 0.

    Args:
        logit: Logits (B,), computed from ``watched``.
        label: Labels (B,).
        weight: Row weights (B,), or None.
        watched: Crosses, products and their mixture, (B, P, D2) each.
        soft: Shares (P, 3).

    Returns:
        Slopes (P, 3).
    """
    *candidates, mixed = watched
    (slope,) = torch.autograd.grad(logit.sum(), mixed)  # (B, P, D2)
    z, y = logit.detach().float().unsqueeze(1), label.unsqueeze(1)  # (B, 1)
    weights = torch.ones_like(z) if weight is None else weight.unsqueeze(1)  # (B, 1)
    weights = weights / weights.sum()
    slopes = []
    for place, vectors in enumerate(candidates):
        share = soft[:, place].detach().clamp(min=1e-4)  # (P,)
        half = 0.5 * share
        change = half * (slope * vectors.detach()).sum(-1).float()  # (B, P)
        difference = softplus(z) - softplus(z - change) - y * change  # (B, P)
        slopes.append((weights * difference).sum(0) / half)
    return torch.stack([*slopes, torch.zeros_like(slopes[0])], dim=1)  # (P, 3)


def _optimizer_of(gate: nn.Module, context: Context) -> torch.optim.Optimizer:
    """Return the optimiser of a gate's parameters alone."""
    own = {id(p) for p in gate.parameters()}
    return next(
        o
        for o in context.optimizers.dense
        if {id(p) for g in o.param_groups for p in g["params"]} == own
    )


def undecided(pairs: Sequence[tuple[int, int]], searched: Sequence[tuple[int, int]]) -> list[str]:
    """Return the operations of a model to be searched: undecided, or naive if not searched."""
    chosen = set(searched)
    return [UNDECIDED if pair in chosen else OPS[2] for pair in pairs]


def random_ops(
    ops: Sequence[str], searched: Sequence[int], cost: Sequence[float], seed: int, draws: int = 200
) -> list[str]:
    """Reassign the operations of the searched pairs at random: the control of equal size.

    Args:
        ops: Operation of every pair.
        searched: Positions of the searched pairs; all others are naive.
        cost: Cost of memorizing each pair.
        seed: Seed of the draws.
        draws: Number of draws; the one whose memorized pairs cost most nearly as much is returned.
    """
    draw = np.random.default_rng(seed)
    chosen = [ops[p] for p in searched]

    def spent(assigned: Sequence[str]) -> float:
        return sum(cost[p] for p, op in zip(searched, assigned, strict=True) if op == OPS[0])

    target = spent(chosen)
    drawn = [[chosen[k] for k in draw.permutation(len(chosen))] for _ in range(draws)]
    best = min(drawn, key=lambda assigned: abs(spent(assigned) - target))
    reassigned = [OPS[2]] * len(ops)
    for p, op in zip(searched, best, strict=True):
        reassigned[p] = op
    return reassigned
