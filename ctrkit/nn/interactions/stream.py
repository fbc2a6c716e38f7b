"""Streams of FinalMLP: a feature gate, then a perceptron. Mao et al., arXiv:2304.00902."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from torch import Tensor, nn

from ctrkit.errors import ConfigError, nearest
from ctrkit.nn.perceptron import HIDDEN, Dropout, Norm, affine, perceptron
from ctrkit.registry import interaction


class Stream(nn.Module):
    """One of FinalMLP's two streams.

    Shape:
        ``(B, F, D)`` -> ``(B, hidden[-1])``.
    """

    def __init__(
        self,
        fields: int,
        dim: int,
        names: Sequence[str],
        *,
        hidden: Annotated[tuple[int, ...], HIDDEN] = (400, 400),
        dropout: Dropout = 0.0,
        norm: Norm = "none",
        gate: bool = True,
        gate_hidden: Annotated[tuple[int, ...], HIDDEN] = (64,),
        context: tuple[str, ...] = (),
    ) -> None:
        """Set up the stream.

        Args:
            fields: F.
            dim: Width D.
            names: Names of the fields.
            hidden: Widths of the perceptron.
            dropout: Share of the perceptron's outputs dropped in training.
            norm: Normalisation before each ReLU of the perceptron.
            gate: Whether the stream weighs its inputs.
            gate_hidden: Widths of the gate's perceptron.
            context: Fields whose embeddings the gate reads; none: a learned vector.

        Raises:
            ConfigError: The data has no field of a name in ``context``.
        """
        super().__init__()
        width = fields * dim
        for name in context:
            if name not in names:
                hint = nearest(name, names)
                raise ConfigError(f"the context of a stream: the data has no field {name!r}{hint}")
        places = [names.index(name) for name in context]
        self.gate = FeatureGate(dim, width, gate_hidden, places) if gate else None
        self.layers = perceptron(width, hidden, dropout, norm)
        self.out_dim = hidden[-1] if hidden else width

    def forward(self, x: Tensor) -> Tensor:
        """Weigh the embeddings' entries and apply the perceptron."""
        flat = x.flatten(1)  # (B, F * D)
        out: Tensor = self.layers(flat if self.gate is None else flat * self.gate(x))  # (B, O)
        return out


@interaction("stream1", paper="arXiv:2304.00902")
class FirstStream(Stream):
    """FinalMLP's first stream: a feature gate, then a perceptron."""


@interaction("stream2", paper="arXiv:2304.00902")
class SecondStream(Stream):
    """FinalMLP's second stream, with hyper-parameters of its own."""


class FeatureGate(nn.Module):
    """Weights of the embeddings' entries, ``2 sigmoid(MLP(c))``, 1 at the start for a zero c.

    c is the embeddings of the context fields. Without such fields it is a learned vector that
    starts at zero, and the weights are the same for every row.

    Shape:
        ``(B, F, D)`` -> ``(B, width)``; without context ``(1, width)``.
    """

    places: Tensor

    def __init__(
        self, dim: int, width: int, hidden: tuple[int, ...], places: Sequence[int] = ()
    ) -> None:
        """Set up the gate.

        Args:
            dim: Width D.
            width: Number of entries.
            hidden: Widths of the perceptron.
            places: Positions of the context fields.
        """
        super().__init__()
        self.register_buffer("places", torch.tensor(places, dtype=torch.int64), persistent=False)
        self.context = None if places else nn.Parameter(torch.zeros(1, dim))
        inputs = dim * max(1, len(places))
        self.layers = perceptron(inputs, hidden, 0.0, "none")
        self.output = affine(hidden[-1] if hidden else inputs, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the weights."""
        chosen = x.index_select(1, self.places).flatten(1)  # (B, C * D)
        context = chosen if self.context is None else self.context
        logits: Tensor = self.output(self.layers(context))  # (B, width)
        return 2 * logits.sigmoid()
