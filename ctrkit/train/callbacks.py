"""What a method adds to the loop: pruning, gates, rewinding, tracking are callbacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn

from ctrkit.train.optimizers import Optimizers

if TYPE_CHECKING:
    from ctrkit.data.store.batches import Batch


class Pruned(Exception):
    """Raised by a callback: the run is given up, and is not judged."""


@dataclass
class Context:
    """Where training stands; ``step`` counts finished steps over all epochs, from 0.

    Attributes:
        total_steps: Planned steps; early stopping may end before them.
        lr: Learning rate of the step under way, or of the last one.
    """

    model: nn.Module
    optimizers: Optimizers
    total_steps: int
    step: int = 0
    epoch: int = 0
    lr: float = 0.0


class Callback:
    """Hooks of the loop; each does nothing unless overridden.

    What a hook changes must be found again in :meth:`state_dict`, in the model or in the
    optimisers: then a resumed run equals an uninterrupted one.
    """

    def epoch_start(self, context: Context) -> None:
        """Run before an epoch's first step (not when resuming within the epoch)."""

    def step_start(self, context: Context, batch: Batch) -> None:
        """Run before the forward pass."""

    def after_backward(self, context: Context) -> None:
        """Run between the backward pass and the optimisers' step."""

    def step_end(self, context: Context) -> None:
        """Run after the optimisers' step; ``context.step`` counts it already."""

    def evaluated(self, context: Context, line: Mapping[str, Any]) -> str | None:
        """Run after an evaluation with its line of ``metrics.jsonl``; a reason returned stops."""
        return None

    def state_dict(self) -> dict[str, Any]:
        """Return what resuming needs: tensors, numbers, texts, lists and dicts of them."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up a state that :meth:`state_dict` gave."""
