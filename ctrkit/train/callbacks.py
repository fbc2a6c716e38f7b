"""Callbacks: how pruning, gates, rewinding and tracking take part in training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from ctrkit.train.optimizers import Optimizers

if TYPE_CHECKING:
    from ctrkit.data.store.batch import Batch


class Pruned(Exception):
    """Raised by a callback: the run ends without a final evaluation."""


@dataclass
class Context:
    """The state of training that callbacks see.

    Attributes:
        model: The model; gates are parts of it.
        optimizers: Its optimisers.
        total_steps: Planned steps; early stopping may end before them.
        step: Finished steps over all epochs.
        epoch: The current epoch, from 0.
        lr: Learning rate of the current step, or of the last one.
    """

    model: nn.Module
    optimizers: Optimizers
    total_steps: int
    step: int = 0
    epoch: int = 0
    lr: float = 0.0


class Callback:
    """Hooks of the loop; each does nothing unless overridden.

    Whatever a hook changes must be part of :meth:`state_dict`, of the model or of the optimisers:
    then a resumed run equals an uninterrupted one.
    """

    def epoch_start(self, context: Context) -> None:
        """Run before an epoch's first step (not when resuming within the epoch)."""

    def step_start(self, context: Context, batch: Batch) -> None:
        """Run before the forward pass."""

    def after_backward(self, context: Context) -> None:
        """Run between the backward pass and the optimisers' step."""

    def step_end(self, context: Context) -> None:
        """Run after the optimisers' step; ``context.step`` already counts it."""

    def evaluated(self, context: Context, line: Mapping[str, float]) -> str | None:
        """Run after an evaluation with its line of ``metrics.jsonl``.

        Returns:
            A reason to stop training; None: it continues.
        """
        return None

    def state_dict(self) -> dict[str, Any]:
        """Return what resuming needs: tensors, numbers, strings, lists and dicts of them."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state that :meth:`state_dict` returned."""
