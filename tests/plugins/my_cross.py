"""Low-rank cross layer, one file, as an outsider would write it."""

from typing import Annotated

import torch
from torch import Tensor, nn

from ctrkit import Range, interaction


@interaction("my_cross", paper="arXiv:2008.13535, eq. 2")
class MyCross(nn.Module):
    """Products of the embeddings with a low-rank mix of themselves."""

    def __init__(
        self, fields: int, dim: int, *, low_rank: Annotated[int, Range(1, 64)] = 8
    ) -> None:
        super().__init__()
        self.out_dim = fields * dim
        self.down = nn.Linear(self.out_dim, low_rank, bias=False)
        self.up = nn.Linear(low_rank, self.out_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Cross once: x * U V x + x."""
        flat = x.flatten(1)  # (B, F * D)
        return torch.addcmul(flat, flat, self.up(self.down(flat)))  # (B, F * D)
