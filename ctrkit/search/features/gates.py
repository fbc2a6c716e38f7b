"""OptFS: gates for every value, learned with the model, hardened to a list of kept values.

Source: Lyu et al., "Optimizing Feature Set for Click-Through Rate Prediction", WWW 2023,
arXiv:2301.10909; see "OptFS" in ``docs/methods.md``, also for what differs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from ctrkit.checksums import found_damaged, rewriting
from ctrkit.data.store.batch import Batch
from ctrkit.data.store.batches import Batches
from ctrkit.files import atomic_path
from ctrkit.layout import Layout
from ctrkit.models.model import Model
from ctrkit.nn.gates.value import ValueGate
from ctrkit.records import Progress
from ctrkit.schema import DROPPED
from ctrkit.search.features.config import FeaturesConfig, FeatureSearchConfig
from ctrkit.train import Callback, Context, fit

Mask = npt.NDArray[np.bool_]
PACE = 5.0
"""Learning rate of ``descent``, in units of 1 / (steps * penalty): the gate of a value that is
worth nothing falls below zero after about 40 % of the steps (at temperature 1, a share of
``0.5 / (PACE * sigmoid'(0.5))``)."""
DUAL_RATE = 4.0
"""How fast the penalty of a target ratio adapts: per unit of ratio and 10 % of the steps."""
GATE = "gate."
DECISION = "found.npz"
SNAPSHOT = "snapshot.safetensors"


@dataclass(frozen=True)
class Attempt:
    """One thing to try: a penalty, or a share of the values to keep.

    Attributes:
        kind: ``penalty``, or ``ratio`` (the penalty then follows the share).
        value: The penalty in the unit of ``search.unit``, or the share.
    """

    kind: Literal["penalty", "ratio"]
    value: float

    @property
    def name(self) -> str:
        """The name of the candidate's folder."""
        return f"{self.kind}-{self.value:g}"


@dataclass(frozen=True)
class ValueDecision:
    """Which feature values a search keeps.

    Attributes:
        gate: Gate parameter of every value ``(R,)``, fields one after the other.
        kept: Which of them are kept ``(R,)``.
        snapshot: The model's weights at the rewind epoch, without gates.
        penalty: The last penalty of a value.
        silent: Fields whose gates never received a gradient.
        touched_only: Whether there were too many values for a penalty on all of them.
        seconds: Time of the search, evaluations excluded.
    """

    gate: npt.NDArray[np.float32]
    kept: Mask
    snapshot: dict[str, Tensor]
    penalty: float
    silent: list[str]
    touched_only: bool
    seconds: float

    def save(self, folder: Path) -> None:
        """Write ``snapshot.safetensors``, then ``found.npz``, which marks the search as done."""
        with rewriting(folder, DECISION, SNAPSHOT, create=True):
            with atomic_path(folder / SNAPSHOT) as path:
                save_file({k: v.contiguous() for k, v in self.snapshot.items()}, path)
            with atomic_path(folder / DECISION) as path, path.open("wb") as file:
                np.savez(
                    file,
                    gate=self.gate,
                    kept=self.kept,
                    penalty=self.penalty,
                    seconds=self.seconds,
                    silent=np.array(self.silent, np.str_),
                    touched_only=self.touched_only,
                )

    @classmethod
    def load(cls, folder: Path) -> ValueDecision | None:
        """Return the decision of a finished search; None if it is not finished, or damaged."""
        if not (folder / DECISION).is_file() or found_damaged(folder, (DECISION, SNAPSHOT)):
            return None
        with np.load(folder / DECISION) as stored:
            return cls(
                gate=stored["gate"],
                kept=stored["kept"],
                snapshot=load_file(folder / SNAPSHOT),
                penalty=float(stored["penalty"]),
                silent=stored["silent"].tolist(),
                touched_only=bool(stored["touched_only"]),
                seconds=float(stored["seconds"]),
            )


def open_gates(
    layout: Layout, config: FeatureSearchConfig, penalty: float, rows: int, steps: int
) -> ValueGate:
    """Return the gates of a layout.

    Args:
        layout: Fields with vocabularies; crosses are hashed and have no gates.
        config: ``[search]``.
        penalty: Penalty of a kept value, in the unit of ``config.unit``.
        rows: Number of training rows.
        steps: Planned steps.
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
        # Only values of the batch get the penalty: divided by how often that is, it is the same
        # in expectation.
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
    """Return which gated values count as features ``(R,)``: those in the training rows."""
    seen = traffic_counts(layout, 1) > 0
    start = 0
    for name, rows in gated_names(layout):
        if name in layout.counts:
            seen[start + DROPPED] = False
        start += rows
    return seen


def search_values(
    model: Model,
    batches: Batches,
    config: FeaturesConfig,
    attempt: Attempt,
    *,
    evaluate: Callable[[Any], dict[str, float]],
    callbacks: tuple[Callback, ...] = (),
    folder: Path | None = None,
    progress: Progress | None = None,
) -> ValueDecision:
    """Train a model and its gates together; return the decision.

    For a ratio, the penalty follows the share of values that are open (dual ascent), and the
    values with the highest gates are kept at the end, exactly as many as asked for.

    Args:
        model: A model without gates; it is trained.
        batches: Training batches.
        config: ``[train]`` and ``[search]``; the epochs are those of ``[search]``.
        attempt: The penalty or ratio.
        evaluate: See :func:`ctrkit.train.fit`.
        callbacks: Callbacks besides the gates' own.
        folder: Folder of checkpoints, from which an interrupted search resumes.
        progress: See :func:`ctrkit.train.fit`.
    """
    search = config.search
    loop = config.train.model_copy(
        update={"epochs": search.epochs, "patience": 0, "evals_per_epoch": 1, "init": None}
    )
    target = attempt.value if attempt.kind == "ratio" else None
    penalty = search.penalty[0] if attempt.kind == "ratio" else attempt.value
    steps = batches.steps() * search.epochs
    gate = model.gate = open_gates(model.layout, search, penalty, batches.rows, steps)
    seen = countable(model.layout)
    training = GateTraining(gate, search.rewind, target, seen)
    result = fit(
        model,
        batches,
        loop,
        evaluate=evaluate,
        callbacks=(training, *callbacks),
        folder=folder,
        progress=progress,
    )
    assert training.final is not None, "the search ended before its last step"
    values = training.final.cpu().numpy()
    kept = values > 0
    if target is not None:
        kept = best_values(np.where(seen, values, -np.inf), round(target * int(seen.sum())))
    names = [name for name, _ in gated_names(model.layout)]
    silent = [n for n, learns in zip(names, gate_learns(gate), strict=True) if not learns]
    seconds = result.steps * loop.batch_size / result.examples_s
    return ValueDecision(
        values, kept, training.snapshot, gate.penalty, silent, gate.sparse, seconds
    )


def gate_learns(gate: ValueGate) -> list[bool]:
    """Return for each gated field whether its gates ever received a gradient of the loss."""
    flags = gate.learns.tolist()
    gated = [i for i, n in enumerate(gate.sizes) if n]
    return [flags[i] for i in (*gated, *range(len(gate.sizes), len(flags)))]


def best_values(score: npt.NDArray[Any], count: int) -> Mask:
    """Return the ``count`` values with the highest scores ``(R,)``; of equal ones, the first."""
    kept = np.zeros(len(score), bool)
    kept[np.argsort(-score, kind="stable")[:count]] = True
    kept &= np.isfinite(score)
    return kept


def masks(layout: Layout, kept: Mask) -> dict[str, Mask]:
    """Split a mask over all gated values by field."""
    names = gated_names(layout)
    ends = np.cumsum([rows for _, rows in names])
    return {name: part for (name, _), part in zip(names, np.split(kept, ends[:-1]), strict=True)}


class GateTraining(Callback):
    """Runs the gates: temperature, penalty, dual update, snapshot for rewinding.

    Args:
        gate: The gates.
        rewind: Epoch before which the weights are copied.
        target: Share of the values to keep; None: the penalty is constant.
        seen: Which values occur in the training rows ``(R,)``.
    """

    def __init__(self, gate: ValueGate, rewind: int, target: float | None, seen: Mask) -> None:
        self.gate, self.rewind, self.target = gate, rewind, target
        self.seen = torch.from_numpy(seen)
        self.snapshot: dict[str, Tensor] = {}
        self.final: Tensor | None = None

    def epoch_start(self, context: Context) -> None:
        """Copy the weights before the first batch of the rewind epoch."""
        self.gate.advance(context.step, context.total_steps, context.epoch)
        if context.epoch == self.rewind:
            state = context.model.state_dict()
            self.snapshot = {
                k: v.detach().to("cpu", copy=True)
                for k, v in state.items()
                if not k.startswith(GATE)
            }

    def step_start(self, context: Context, batch: Batch) -> None:
        """Set the temperature."""
        self.gate.advance(context.step, context.total_steps, context.epoch)
        self.gate.start_batch(len(batch.label))

    def after_backward(self, context: Context) -> None:
        """Add the penalty."""
        self.gate.regularise()

    def step_end(self, context: Context) -> None:
        """Adapt the penalty to the target; copy the last gates, as the loop restores the best."""
        every = max(1, context.total_steps // 100)
        if self.target is not None and context.step % every == 0:
            self._follow(context.step / context.total_steps, every / context.total_steps)
        if context.step == context.total_steps:
            self.final = self.gate.values().cpu()

    def _follow(self, done: float, share: float) -> None:
        """Raise the penalty while more gates are open than planned (ours, not the paper's).

        The planned share of open gates falls linearly from 1 to the target over the first 80 % of
        the steps. The present share is the mean of the relaxed gates, which is 1 at the start.

        Args:
            done: Share of the steps that are done.
            share: Share of the steps since the last update.
        """
        assert self.target is not None
        soft = torch.sigmoid(self.gate.values().cpu() * self.gate.tau)[self.seen].mean()
        ratio = min(1.0, float(soft) * self.gate.factor)
        plan = 1 - (1 - self.target) * min(1.0, done / 0.8)
        self.gate.penalty *= float(np.exp(DUAL_RATE * (ratio - plan) * share * 10))

    def state_dict(self) -> dict[str, Any]:
        """Return the snapshot, the last gates, temperature, penalty, and which gates learned."""
        return {
            "snapshot": self.snapshot,
            "final": self.final,
            "tau": self.gate.tau,
            "penalty": self.gate.penalty,
            "learns": self.gate.learns,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a state."""
        self.snapshot, self.final = state["snapshot"], state["final"]
        self.gate.tau, self.gate.penalty = state["tau"], state["penalty"]
        self.gate.learns = state["learns"]
