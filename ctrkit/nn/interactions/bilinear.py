"""Bilinear interactions of SENET-weighted fields. Huang et al., FiBiNET, arXiv:1905.09433."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
from torch import Tensor, nn

from ctrkit.nn.perceptron import affine
from ctrkit.registry import Range, interaction

Form = Literal["low_rank", "all", "each", "pair"]


@interaction("bilinear", paper="arXiv:1905.09433, 2209.05016")
class Bilinear(nn.Module):
    """FiBiNET's pairs, of the embeddings and of their copies weighted by a squeeze network.

    A cost quadratic in the fields. ``low_rank``: one number per pair, the inner product of both
    members' projections, as in FiBiNET++; ``all``, ``each`` and ``pair``: the vector
    ``(e_i W) * e_j`` with one matrix for all pairs, one per field i, or one per pair.

    Shape:
        ``(B, F, D)`` -> ``(B, P * C)``, per pair: C = 1 or D, twice that with ``squeeze``.
    """

    left: Tensor
    right: Tensor

    def __init__(
        self,
        fields: int,
        dim: int,
        *,
        form: Form = "low_rank",
        rank: Annotated[int, Range(1, 1024, log=True, search=(4, 64))] = 16,
        squeeze: bool = True,
        reduction: Annotated[float, Range(1.0, 64.0, log=True, search=(1.0, 8.0))] = 3.0,
    ) -> None:
        """Set up the products.

        Args:
            fields: F.
            dim: Width D.
            form: Which matrices pairs have.
            rank: Width of the projections of the form ``low_rank``.
            squeeze: Whether pairs of the weighted fields come beside those of the fields.
            reduction: Fields per hidden unit of the squeeze network.
        """
        super().__init__()
        left, right = torch.triu_indices(fields, fields, offset=1)
        self.register_buffer("left", left, persistent=False)
        self.register_buffer("right", right, persistent=False)
        pairs = fields * (fields - 1) // 2
        shapes = {
            "low_rank": (fields, dim, rank),
            "all": (dim, dim),
            "each": (fields, dim, dim),
            "pair": (pairs, dim, dim),
        }
        self.form = form
        self.weight = nn.Parameter(torch.empty(shapes[form]))
        nn.init.normal_(self.weight, 0.0, (2 / sum(shapes[form][-2:])) ** 0.5)  # Xavier
        self.squeeze = Squeeze(fields, reduction) if squeeze else None
        self.out_dim = pairs * (1 if form == "low_rank" else dim) * (2 if squeeze else 1)

    def forward(self, x: Tensor) -> Tensor:
        """Multiply all pairs of the fields, and of the weighted fields."""
        sides = [self._pairs(x)]
        if self.squeeze is not None:
            sides.append(self._pairs(x * self.squeeze(x)))
        return torch.cat(sides, dim=2).flatten(1)  # (B, P * C)

    def _pairs(self, x: Tensor) -> Tensor:
        """Return the products of all pairs ``(B, P, 1)`` or ``(B, P, D)``."""
        if self.form == "low_rank":
            projected = torch.einsum("bfd,fdr->bfr", x, self.weight)  # (B, F, r)
            gram = projected @ projected.transpose(1, 2)  # (B, F, F)
            return gram[:, self.left, self.right].unsqueeze(2)  # (B, P, 1)
        if self.form == "pair":
            turned = torch.einsum(
                "bpd,pde->bpe", x.index_select(1, self.left), self.weight
            )  # (B, P, D)
        elif self.form == "each":
            turned = torch.einsum("bfd,fde->bfe", x, self.weight).index_select(1, self.left)
        else:
            turned = (x @ self.weight).index_select(1, self.left)
        return turned * x.index_select(1, self.right)  # (B, P, D)


class Squeeze(nn.Module):
    """SENET's weights of the fields: ``ReLU(W2 ReLU(W1 z))`` with z the mean of each field.

    Shape:
        ``(B, F, D)`` -> ``(B, F, 1)``.
    """

    def __init__(self, fields: int, reduction: float) -> None:
        super().__init__()
        inner = max(1, int(fields / reduction))
        self.inner = affine(fields, inner, bias=False)
        self.outer = affine(inner, fields, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh the fields."""
        weights: Tensor = self.outer(self.inner(x.mean(dim=2)).relu()).relu()  # (B, F)
        return weights.unsqueeze(2)  # (B, F, 1)
