"""What an interaction layer declares, and how a plain module's attributes are read.

An interaction is any ``nn.Module`` that sets ``self.out_dim``. The other attributes are optional.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Protocol, runtime_checkable

from torch import nn

from ctrkit.errors import ConfigError, nearest

INPUTS = ("fields", "weights", "second", "crosses")
"""What a branch may read: three tables ``(B, F, D)``, ``(B, F, 1)``, ``(B, F, D2)``, and the
vectors of crosses ``(B, P, D2)``."""


@runtime_checkable
class Interaction(Protocol):
    """A layer ``(B, F, D) -> (B, O)``; O = ``out_dim``, 0 for a branch without output."""

    out_dim: int


@runtime_checkable
class ReadsInputs(Protocol):
    """A layer that does not read ``fields``, or not only them: names out of :data:`INPUTS`.

    ``forward`` takes the inputs in the order of ``reads``.
    """

    reads: str | Sequence[str]


@runtime_checkable
class ReadsCrosses(Protocol):
    """A layer that reads ``crosses``: numbers of their pairs, in the order of all pairs."""

    crossed: Sequence[int]


@dataclass(frozen=True)
class Branch:
    """What a branch of a model declares.

    Attributes:
        out_dim: Width O of its output.
        reads: What it reads, in the order of the arguments of ``forward``.
        crossed: Numbers of the pairs whose crosses it reads.
    """

    out_dim: int
    reads: tuple[str, ...] = ("fields",)
    crossed: tuple[int, ...] = ()


def describe_branch(name: str, layer: object) -> Branch:
    """Return what an interaction layer declares, with defaults for what it does not declare.

    Raises:
        ConfigError: The layer is not a module, or a declaration is missing or malformed.
    """
    where = f"interaction {name!r}"
    if not isinstance(layer, nn.Module):
        raise ConfigError(f"{where} must be a torch.nn.Module; got {type(layer).__name__}")
    if not isinstance(layer, Interaction):
        raise ConfigError(f"{where} must set self.out_dim, the width O of its output (B, O)")
    if not isinstance(layer.out_dim, Integral) or layer.out_dim < 0:
        raise ConfigError(f"{where}: out_dim must be an integer >= 0; got {layer.out_dim!r}")
    reads = layer.reads if isinstance(layer, ReadsInputs) else "fields"
    reads = (reads,) if isinstance(reads, str) else tuple(reads)
    for word in reads:
        if word not in INPUTS:
            known = ", ".join(INPUTS)
            raise ConfigError(
                f"{where}: reads must be of {known}; got {word!r}{nearest(word, INPUTS)}"
            )
    crossed = tuple(layer.crossed) if isinstance(layer, ReadsCrosses) else ()
    if "crosses" in reads and not crossed:
        raise ConfigError(f"{where} reads crosses and must set self.crossed, numbers of pairs")
    return Branch(layer.out_dim, reads, crossed)
