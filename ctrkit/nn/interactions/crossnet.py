"""Cross network. Wang et al.: DCN, arXiv:1708.05123, eq. 3; DCN-V2, arXiv:2008.13535, eq. 1.

The gated form is that of GDCN (Wang et al., arXiv:2311.04635).
"""

from __future__ import annotations

from typing import Annotated, Literal, cast

import torch
from torch import Tensor, nn

from ctrkit.registry import Range, interaction


@interaction("crossnet", paper="arXiv:1708.05123, 2008.13535, 2311.04635")
class CrossNet(nn.Module):
    """Explicit crosses of bounded degree over the concatenated embeddings x_0.

    vector: x_{l+1} = x_0 (w_l . x_l) + b_l + x_l;  matrix: x_{l+1} = x_0 * (W_l x_l + b_l) + x_l;
    gated: x_{l+1} = x_0 * (W_l x_l + b_l) * sigmoid(V_l x_l) + x_l, with b_l uniform in [0, 1) at
    the start.

    Shape:
        ``(B, F, D)`` -> ``(B, F * D)``.
    """

    def __init__(
        self,
        fields: int,
        dim: int,
        *,
        layers: Annotated[int, Range(1, 8, search=(1, 5))] = 3,
        form: Literal["vector", "matrix", "gated"] = "matrix",
    ) -> None:
        super().__init__()
        self.out_dim = width = fields * dim
        self.form = form
        rows = 1 if form == "vector" else width
        self.kernels = nn.ModuleList(nn.Linear(width, rows, bias=False) for _ in range(layers))
        start = torch.rand if form == "gated" else torch.zeros
        self.biases = nn.ParameterList(start(width) for _ in range(layers))
        self.gates = nn.ModuleList(
            nn.Linear(width, width, bias=False) for _ in range(layers if form == "gated" else 0)
        )
        for kernel in (*self.kernels, *self.gates):
            nn.init.xavier_normal_(cast(nn.Linear, kernel).weight)

    def forward(self, x: Tensor) -> Tensor:
        """Cross layer by layer."""
        start = x.flatten(1)  # (B, F * D)
        out = start
        for number, (kernel, bias) in enumerate(zip(self.kernels, self.biases, strict=True)):
            if self.form == "vector":
                out = start * kernel(out) + bias + out
            elif self.form == "matrix":
                out = start * (kernel(out) + bias) + out
            else:
                out = start * (kernel(out) + bias) * self.gates[number](out).sigmoid() + out
        return out
