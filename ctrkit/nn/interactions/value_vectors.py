"""First-order term with a vector per value. Pan et al., FwFM, arXiv:1806.03514 (FeLV)."""

from __future__ import annotations

from torch import Tensor, nn

from ctrkit.registry import interaction


@interaction("value_vectors", paper="arXiv:1806.03514")
class ValueVectors(nn.Module):
    """Inner product of each field's embedding and a second vector of its value, summed.

    Of different widths, the first entries are multiplied; ``model.second_dim = model.dim`` is the
    published form.

    Shape:
        ``(B, F, D)``, second vectors ``(B, F, D2)`` -> ``(B, 1)``.
    """

    reads = ("fields", "second")
    out_dim = 1

    def __init__(self, dim: int, second_dim: int) -> None:
        super().__init__()
        self.width = min(dim, second_dim)

    def forward(self, x: Tensor, second: Tensor) -> Tensor:
        """Multiply and sum."""
        products = x[..., : self.width] * second[..., : self.width]  # (B, F, width)
        return products.sum(dim=(1, 2)).unsqueeze(1)  # (B, 1)
