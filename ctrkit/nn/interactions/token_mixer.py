"""Token mixing without parameters, and one feed-forward network per token. arXiv:2507.15551."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from ctrkit.nn.perceptron import Dropout
from ctrkit.registry import Range, interaction


@interaction("token_mixer", paper="arXiv:2507.15551")
class TokenMixer(nn.Module):
    """RankMixer: fields in T tokens, mixed by exchanging their T heads.

    The cost is linear in the fields.

    Shape:
        ``(B, F, D)`` -> ``(B, T * head_dim)``.
    """

    owner: Tensor

    def __init__(
        self,
        fields: int,
        dim: int,
        *,
        tokens: Annotated[int, Range(1, 256, log=True, search=(2, 8))] = 8,
        head_dim: Annotated[int, Range(1, 256, log=True, search=(4, 16))] = 8,
        layers: Annotated[int, Range(1, 16, search=(1, 4))] = 2,
        expansion: Annotated[int, Range(1, 16, search=(1, 4))] = 2,
        dropout: Dropout = 0.0,
    ) -> None:
        """Set up the layers.

        Args:
            fields: F.
            dim: Width D.
            tokens: Number T of tokens; each holds a run of neighbouring fields.
            head_dim: Width of a head; a token has T heads.
            layers: Number of layers.
            expansion: Hidden units of a token's network, in widths of the token.
            dropout: Share of the networks' outputs dropped in training.
        """
        super().__init__()
        width = tokens * head_dim
        share = torch.zeros(tokens, fields)
        share[torch.arange(fields) * tokens // fields, torch.arange(fields)] = 1
        self.register_buffer("owner", share, persistent=False)  # (T, F)
        std = (2 / (max(1.0, fields / tokens) * dim + width)) ** 0.5  # Xavier
        self.weight = nn.Parameter(torch.empty(fields, dim, width).normal_(0, std))
        self.bias = nn.Parameter(torch.zeros(tokens, width))
        self.layers = nn.ModuleList(
            MixerLayer(tokens, width, expansion, dropout) for _ in range(layers)
        )
        self.out_dim = width

    def forward(self, x: Tensor) -> Tensor:
        """Make tokens, mix them, and average them."""
        projected = torch.einsum("bfd,fdm->bfm", x, self.weight)  # (B, F, M)
        tokens = self.owner.to(projected.dtype) @ projected + self.bias  # (B, T, M)
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens.mean(dim=1)  # (B, M)


class MixerLayer(nn.Module):
    """``S = LN(mix(X) + X)``, then ``LN(FFN_t(S_t) + S_t)`` with a network per token t.

    Shape:
        ``(B, T, M)`` -> ``(B, T, M)``.
    """

    def __init__(self, tokens: int, width: int, expansion: int, dropout: float) -> None:
        super().__init__()
        inner = expansion * width
        std = (2 / (width + inner)) ** 0.5  # Xavier
        self.up = nn.Parameter(torch.empty(tokens, width, inner).normal_(0, std))
        self.up_bias = nn.Parameter(torch.zeros(tokens, inner))
        self.down = nn.Parameter(torch.empty(tokens, inner, width).normal_(0, std))
        self.down_bias = nn.Parameter(torch.zeros(tokens, width))
        self.norm_mixed, self.norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.activation = nn.GELU()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the tokens and transform each."""
        mixed = self.norm_mixed(mix_tokens(x) + x)
        inner = self.activation(torch.einsum("btm,tmn->btn", mixed, self.up) + self.up_bias)
        out = torch.einsum("btn,tnm->btm", inner, self.down) + self.down_bias  # (B, T, M)
        result: Tensor = self.norm(self.dropout(out) + mixed)
        return result


def mix_tokens(x: Tensor) -> Tensor:
    """Return tokens of which number h holds head h of every token; its own inverse.

    Shape:
        ``(B, T, T * head_dim)`` -> the same.
    """
    tokens = x.shape[1]
    heads = x.view(-1, tokens, tokens, x.shape[2] // tokens)  # (B, T, H, head_dim)
    return heads.transpose(1, 2).flatten(2)  # (B, H, T * head_dim)
