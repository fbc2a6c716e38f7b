"""OptFS: gates for every value, learned with the model, hardened to a list of kept values.

Source: Lyu et al., "Optimizing Feature Set for Click-Through Rate Prediction", WWW 2023,
arXiv:2301.10909; the steps as in methods.md 4, what is ours is said where it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ctrkit.config.sections import TrainConfig
from ctrkit.data.store.batches import Batches
from ctrkit.layout import Layout
from ctrkit.models.model import Model
from ctrkit.nn.gates.value import ValueGate
from ctrkit.schema import DROPPED
from ctrkit.search.features.config import FeatureSearchConfig
from ctrkit.train import Callback, Context, FitResult, fit

Mask = npt.NDArray[np.bool_]
PACE = 5.0
"""Of ``descent``: a value that nothing holds up falls below zero after some two fifths of the
steps (0.5 / (PACE * sigmoid'(0.5)) of them at temperature 1)."""
DUAL_RATE = 4.0
"""How fast the penalty of a target ratio answers: per unit of ratio and tenth of the steps."""
GATE = "gate."


@dataclass(frozen=True)
class Found:
    """What a search of values found.

    Attributes:
        values: Gate parameter of every value ``(R,)``, fields one after the other.
        kept: Which of them stay ``(R,)``.
        snapshot: The model's weights at the rewind epoch, without gates.
        penalty: The last one, per value.
        silent: Fields whose gates never received a gradient.
        touched_only: Whether there were too many values for a penalty on all of them.
        fit: How the search went.
    """

    values: npt.NDArray[np.float32]
    kept: Mask
    snapshot: dict[str, Tensor]
    penalty: float
    silent: list[str]
    touched_only: bool
    fit: FitResult


def open_gates(
    layout: Layout, config: FeatureSearchConfig, penalty: float, rows: int, steps: int
) -> ValueGate:
    """Return the gates of a layout.

    Args:
        layout: Fields with vocabularies; crosses are hashed and have no gates.
        config: ``[search]``.
        penalty: In the unit of ``config.unit``.
        rows: Of training.
        steps: Planned.
    """
    weight = penalty / rows if config.unit == "nats" else penalty
    lr = config.gate_lr
    if config.update == "descent" and lr is None:
        lr = PACE / (steps * max(weight, 1e-30))
    gate = ValueGate(
        [f.own_rows for f in layout.coded],
        len(layout.of_kind("numeric")),
        epochs=config.epochs,
        schedule=config.schedule,
        final=config.temperature,
        penalty=weight,
        fields=config.field_gates,
        update=config.update,
        lr=lr,
        eps=config.eps,
    )
    counts = torch.from_numpy(traffic_counts(layout, rows).astype(np.float32))  # (R,)
    if config.per == "occurrence":
        mean = counts[counts > 0].mean().clamp(min=1e-30)
        gate.cost = _costs(counts / mean)
    if gate.sparse and config.update == "descent":
        # Only touched values feel the penalty: by the odds of a touch, the same in expectation.
        epoch = max(1, steps // config.epochs)
        rare = _costs(epoch / counts.clamp(1, epoch))
        gate.cost = rare if gate.cost is None else gate.cost * rare
    return gate


def _costs(values: Tensor) -> Tensor:
    return torch.cat([values, torch.zeros(1)]).unsqueeze(1)  # (R + 1, 1)


def traffic_counts(layout: Layout, rows: int) -> npt.NDArray[np.int64]:
    """Return the training count of every gated value ``(R,)``; a real number's is ``rows``."""
    parts = [np.asarray(layout.counts[f.name], np.int64) for f in layout.coded if f.own_rows]
    return np.concatenate([*parts, np.full(len(layout.of_kind("numeric")), rows, np.int64)])


def gated_names(layout: Layout) -> list[tuple[str, int]]:
    """Return the gated fields and their number of gates, in the gates' order."""
    coded = [(f.name, f.rows) for f in layout.coded if f.own_rows]
    return [*coded, *((f.name, 1) for f in layout.of_kind("numeric"))]


def countable(layout: Layout) -> Mask:
    """Say which gated values count as features ``(R,)``: those that training met."""
    met = traffic_counts(layout, 1) > 0
    start = 0
    for name, rows in gated_names(layout):
        if name in layout.counts:
            met[start + DROPPED] = False
        start += rows
    return met


def search_values(
    model: Model,
    batches: Batches,
    train: TrainConfig,
    config: FeatureSearchConfig,
    penalty: float,
    *,
    rows: int,
    target: float | None = None,
    evaluate: Callable[[Any], dict[str, float]],
    callbacks: tuple[Callback, ...] = (),
    folder: Path | None = None,
    progress: Any = None,
) -> Found:
    """Train a model and its gates together; return the decision.

    Args:
        model: Without gates; is trained.
        batches: Of the training split.
        train: The loop; its epochs are those of ``config``.
        config: ``[search]``.
        penalty: See :func:`open_gates`.
        rows: Of training.
        target: Share of the values to keep; the penalty follows it (dual ascent), and what the
            gates then say last is cut to the number exactly.
        evaluate: See :func:`ctrkit.train.fit`.
        callbacks: Besides the gates' own.
        folder: Of checkpoints; a search that was cut goes on.
        progress: See :func:`ctrkit.train.fit`.
    """
    loop = train.model_copy(
        update={"epochs": config.epochs, "patience": 0, "evals_per_epoch": 1, "init": None}
    )
    steps = batches.steps() * config.epochs
    gate = model.gate = open_gates(model.layout, config, penalty, rows, steps)
    met = countable(model.layout)
    watch = GateTraining(gate, config.rewind, target, met)
    result = fit(
        model,
        batches,
        loop,
        evaluate=evaluate,
        callbacks=(watch, *callbacks),
        folder=folder,
        progress=progress,
    )
    assert watch.final is not None, "the search ended before its last step"
    values = watch.final.cpu().numpy()
    kept = values > 0
    if target is not None:
        kept = best_values(np.where(met, values, -np.inf), round(target * int(met.sum())))
    names = [name for name, _ in gated_names(model.layout)]
    silent = [n for n, learns in zip(names, gate_learns(gate), strict=True) if not learns]
    return Found(values, kept, watch.snapshot, gate.penalty, silent, gate.sparse, result)


def gate_learns(gate: ValueGate) -> list[bool]:
    """Say of each gated field whether its gates ever received a gradient from the data."""
    flags = gate.learns.tolist()
    gated = [i for i, n in enumerate(gate.sizes) if n]
    return [flags[i] for i in (*gated, *range(len(gate.sizes), len(flags)))]


def best_values(score: npt.NDArray[Any], count: int) -> Mask:
    """Return the ``count`` values of the highest score ``(R,)``; ties go to the first."""
    kept = np.zeros(len(score), bool)
    kept[np.argsort(-score, kind="stable")[:count]] = True
    found: Mask = kept & np.isfinite(score)
    return found


def masks(layout: Layout, kept: Mask) -> dict[str, Mask]:
    """Part a mask over all gated values by field."""
    names = gated_names(layout)
    ends = np.cumsum([rows for _, rows in names])
    return {name: part for (name, _), part in zip(names, np.split(kept, ends[:-1]), strict=True)}


class GateTraining(Callback):
    """Runs the gates: temperature, penalty, dual update, snapshot for rewinding."""

    def __init__(self, gate: ValueGate, rewind: int, target: float | None, met: Mask) -> None:
        self.gate, self.rewind, self.target = gate, rewind, target
        self.met = torch.from_numpy(met)
        self.snapshot: dict[str, Tensor] = {}
        self.final: Tensor | None = None

    def epoch_start(self, context: Context) -> None:
        """Keep the weights of the rewind epoch, before any of its batches."""
        self.gate.advance(context.step, context.total_steps, context.epoch)
        if context.epoch == self.rewind:
            state = context.model.state_dict()
            self.snapshot = {
                k: v.detach().to("cpu", copy=True)
                for k, v in state.items()
                if not k.startswith(GATE)
            }

    def step_start(self, context: Context, batch: Any) -> None:
        """Set the temperature."""
        self.gate.advance(context.step, context.total_steps, context.epoch)
        self.gate.start_batch(len(batch.label))

    def after_backward(self, context: Context) -> None:
        """Add the penalty."""
        self.gate.regularise()

    def step_end(self, context: Context) -> None:
        """Follow the target; keep the last gates, for the loop hands back the best weights."""
        every = max(1, context.total_steps // 100)
        if self.target is not None and context.step % every == 0:
            self._follow(context.step / context.total_steps, every / context.total_steps)
        if context.step == context.total_steps:
            self.final = self.gate.values().cpu()

    def _follow(self, done: float, share: float) -> None:
        """Raise the penalty while more values live than planned by now (ours, not the paper's).

        The plan falls to the target over the first four fifths of the steps, as the relaxed gates
        themselves: their mean over the values, 1 at the start.
        """
        assert self.target is not None
        soft = torch.sigmoid(self.gate.values().cpu() * self.gate.tau)[self.met].mean()
        ratio = min(1.0, float(soft) * self.gate.factor)
        plan = 1 - (1 - self.target) * min(1.0, done / 0.8)
        self.gate.penalty *= float(np.exp(DUAL_RATE * (ratio - plan) * share * 10))

    def state_dict(self) -> dict[str, Any]:
        """Return the snapshot, the gates' temperature and penalty, and what they learned of."""
        return {
            "snapshot": self.snapshot,
            "final": self.final,
            "tau": self.gate.tau,
            "penalty": self.gate.penalty,
            "learns": self.gate.learns,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up a state."""
        self.snapshot, self.final = state["snapshot"], state["final"]
        self.gate.tau, self.gate.penalty = state["tau"], state["penalty"]
        self.gate.learns = state["learns"]
