"""One hyper-parameter of a search space: its bounds or choices, and when it exists."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Literal

USE = "use."
"""Prefix of the choice of whether a pool's interaction layer is used."""
STRUCTURE = ("model.name", "model.preset", "model.interactions", "model.head", "model.table")
"""Keys that decide which components a model has; drawn before the components' parameters."""


@dataclass(frozen=True)
class Dimension:
    """One hyper-parameter that is drawn.

    Attributes:
        key: ``section.key`` of the configuration, or ``use.<interaction>``.
        kind: ``float``, ``int`` or ``choice``.
        low: Smallest number.
        high: Largest number.
        log: Whether numbers are drawn on a logarithmic scale.
        step: Distance between numbers; None: any number.
        choices: Values of a ``choice``; lists among them are tuples.
        owner: Component that has the parameter; it exists only where the model has the component.
        when: Other keys and the values that they must have for this dimension to exist.
    """

    key: str
    kind: Literal["float", "int", "choice"]
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float | None = None
    choices: tuple[Any, ...] = ()
    owner: str = ""
    when: tuple[tuple[str, tuple[Any, ...]], ...] = ()

    @property
    def structural(self) -> bool:
        """Whether the dimension decides which components the model has."""
        return self.key in STRUCTURE or self.key.startswith(USE)

    def near(self, value: Any) -> Any:
        """Return the value in the space that is nearest to a given one; None if there is none."""
        if self.kind == "choice":
            value = tuple(value) if isinstance(value, list) else value
            return value if value in self.choices else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        value = min(max(value, self.low), self.high)
        if self.step is not None:
            most = math.floor((self.high - self.low) / self.step + 1e-9)
            value = self.low + min(round((value - self.low) / self.step), most) * self.step
        return round(value) if self.kind == "int" else float(value)

    def labels(self) -> list[Any]:
        """Return the choices as Optuna stores them: lists as JSON text."""
        return [label_of(value) for value in self.choices]

    def value_of(self, label: Any) -> Any:
        """Return the choice that a label stands for."""
        return self.choices[self.labels().index(label)]

    def probes(self) -> tuple[Any, ...]:
        """Return values that a configuration must accept: both ends, or all choices."""
        if self.kind == "choice":
            return self.choices
        ends = (self.low, self.high)
        return tuple(int(v) for v in ends) if self.kind == "int" else ends

    def domain(self) -> str:
        """Return the values as people read them: ``4 to 64`` or ``constant, cosine``."""
        if self.kind == "choice":
            return ", ".join(map(str, self.labels()))
        return f"{self.low:g} to {self.high:g}"


def label_of(value: Any) -> Any:
    """Return a value as Optuna can store it."""
    return json.dumps(value) if isinstance(value, list | tuple | dict) else value
