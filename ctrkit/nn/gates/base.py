"""What every gate is, and what it asks of the training loop."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn


@dataclass(frozen=True)
class GateOptimizer:
    """The optimiser that a gate's parameters get in place of the model's.

    Attributes:
        name: A registered optimiser.
        lr: Learning rate; None: that of the model.
        options: Hyper-parameters of the optimiser that differ from their defaults.
    """

    name: str = "adam"
    lr: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


class Gate(nn.Module, ABC):
    """A relaxed choice: soft while it learns, hard in the end.

    Weight decay, L2 and the clipping of gradients do not apply to a gate's parameters.

    Attributes:
        optimizer: How the gate's parameters are updated.
    """

    optimizer: GateOptimizer

    @abstractmethod
    def advance(self, step: int, total_steps: int, epoch: int) -> None:
        """Set the temperature of a training step."""

    @abstractmethod
    def regularise(self) -> None:
        """Add the gradient of the penalty in place, between backward pass and update."""

    @abstractmethod
    def derive(self) -> Any:
        """Return the hard choice as plain data."""
