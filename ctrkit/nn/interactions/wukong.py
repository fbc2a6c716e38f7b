"""WuKong's stack of factorization machine and linear compression blocks. arXiv:2403.02545."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from ctrkit.nn.perceptron import HIDDEN, Dropout, affine, perceptron
from ctrkit.registry import Range, interaction

Embeddings = Annotated[int, Range(1, 256, log=True, search=(4, 32))]


@interaction("wukong", paper="arXiv:2403.02545")
class WuKong(nn.Module):
    """WuKong's layers; each turns its embeddings into ``products + linear`` new ones.

    The degree in the embeddings doubles with each layer, but for the normalisation.

    Shape:
        ``(B, F, D)`` -> ``(B, (products + linear) * D)``.
    """

    def __init__(
        self,
        fields: int,
        dim: int,
        *,
        layers: Annotated[int, Range(1, 16, search=(1, 4))] = 2,
        products: Embeddings = 8,
        linear: Embeddings = 8,
        rank: Annotated[int, Range(1, 256, log=True, search=(4, 32))] = 8,
        hidden: Annotated[tuple[int, ...], HIDDEN] = (64,),
        dropout: Dropout = 0.0,
    ) -> None:
        """Set up the layers.

        Args:
            fields: F.
            dim: Width D.
            layers: Number of layers.
            products: Embeddings that the factorization machine block makes.
            linear: Embeddings that the linear compression block makes.
            rank: Columns k of the factorization machine's projection.
            hidden: Widths of the perceptron on the products.
            dropout: Share of the perceptron's outputs dropped in training.
        """
        super().__init__()
        counts = [fields, *[products + linear] * (layers - 1)]
        self.layers = nn.ModuleList(
            WuKongLayer(count, dim, products, linear, rank, hidden, dropout) for count in counts
        )
        self.out_dim = (products + linear) * dim

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layers."""
        for layer in self.layers:
            x = layer(x)  # (B, n, D)
        return x.flatten(1)  # (B, n * D)


class WuKongLayer(nn.Module):
    """``LN([FMB(X), LCB(X)] + X)``, with a projected X where the numbers of embeddings differ.

    ``FMB(X) = MLP(LN(X X^T Y))`` and ``LCB(X) = W X``.

    Shape:
        ``(B, count, D)`` -> ``(B, products + linear, D)``.
    """

    def __init__(
        self,
        count: int,
        dim: int,
        products: int,
        linear: int,
        rank: int,
        hidden: tuple[int, ...],
        dropout: float,
    ) -> None:
        super().__init__()
        self.products, self.dim = products, dim
        self.rank = affine(count, rank, bias=False)
        self.norm_products = nn.LayerNorm(count * rank)
        self.perceptron = perceptron(count * rank, hidden, dropout, "none")
        self.output = affine(hidden[-1] if hidden else count * rank, products * dim)
        self.compress = affine(count, linear, bias=False)
        outputs = products + linear
        self.residual = None if count == outputs else affine(count, outputs, bias=False)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply, compress, and add the input."""
        along = x.transpose(1, 2)  # (B, D, count)
        gram = x @ self.rank(along)  # (B, count, k): X (X^T Y)
        made = self.output(self.perceptron(self.norm_products(gram.flatten(1))))
        made = made.view(-1, self.products, self.dim)  # (B, products, D)
        compressed = self.compress(along).transpose(1, 2)  # (B, linear, D)
        source = x if self.residual is None else self.residual(along).transpose(1, 2)
        out: Tensor = self.norm(torch.cat([made, compressed], dim=1) + source)  # (B, n, D)
        return out
