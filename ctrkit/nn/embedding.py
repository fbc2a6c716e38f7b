"""Codes to vectors: one fused table for all fields, addressed in full or by hash.

Addressing by hash (``hashed``): ``row = splitmix64(code XOR salt) mod R``, computed on device in
int64, so that rows and sharing are choices of the model and never of the encoding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ctrkit.schema import DROPPED


class RowStore(nn.Module):
    """Rows of one parameter, gathered by number: what every table of vectors is.

    One row, ``zero_row``, is zero and never gets a gradient.

    Attributes:
        sparse: Rows are gathered outside autograd for a row-wise optimiser, which finds them in
            ``touched`` after the backward pass.
        track_rows: Note the rows of each step in ``touched_rows`` (for L2).
    """

    def __init__(self, rows: int, zero_row: int, dim: int, *, sparse: bool, std: float) -> None:
        """Allocate the rows.

        Args:
            rows: R.
            zero_row: Which of them stays zero.
            dim: Width D.
            sparse: See the attributes.
            std: Standard deviation of the initial rows.
        """
        super().__init__()
        self.rows, self.zero_row, self.dim, self.sparse = rows, zero_row, dim, sparse
        self.std = std
        self.weight = nn.Parameter(torch.empty(rows, dim), requires_grad=not sparse)
        self.touched: list[tuple[Tensor, Tensor]] = []
        self.track_rows = False
        self.touched_rows: list[Tensor] = []
        nn.init.normal_(self.weight, 0.0, std)
        with torch.no_grad():
            self.weight[zero_row] = 0

    def gather(self, rows: Tensor) -> Tensor:
        """Return the vectors of rows ``(..., D)``."""
        if not self.sparse:
            if self.track_rows and self.training:
                self.touched_rows.append(rows.detach().reshape(-1))
            return F.embedding(rows, self.weight, padding_idx=self.zero_row)  # (..., D)
        if not (self.training and torch.is_grad_enabled()):
            return F.embedding(rows, self.weight)  # (..., D)
        flat = rows.reshape(-1)  # (N,)
        leaf = self.weight.detach()[flat].requires_grad_()  # (N, D)
        self.touched.append((flat, leaf))
        return leaf.view(*rows.shape, self.dim)  # (..., D)


class EmbeddingTable(RowStore):
    """Vectors of integer codes, all fields in one parameter.

    Code 2 (dropped by a selection) is the zero vector under every addressing: it maps to one row
    that is zero and never gets a gradient.

    Shape:
        codes ``(B, F)`` int64 -> ``(B, F, D)``.
    """

    offsets: Tensor
    moduli: Tensor
    salts: Tensor

    def __init__(
        self,
        sizes: Sequence[int],
        salts: Sequence[int],
        dim: int,
        *,
        hashed: Sequence[int] | None = None,
        sparse: bool = False,
        std: float = 0.01,
    ) -> None:
        """Allocate the table.

        Args:
            sizes: Codes per field, the reserved ones included.
            salts: 64-bit salt per field, for hashed addressing.
            dim: Width D.
            hashed: Rows per field that its codes are hashed into; 0: a row per code.
            sparse: See :class:`RowStore`.
            std: Standard deviation of the initial rows.
        """
        moduli = list(hashed) if hashed is not None else [0] * len(sizes)
        rows = [m or size for m, size in zip(moduli, sizes, strict=True)]
        starts = [sum(rows[:i]) for i in range(len(rows))]
        full = [i for i, m in enumerate(moduli) if not m]
        # Where a field has rows of its own, its code 2 lends its row; else one more is allocated.
        zero_row = starts[full[0]] + DROPPED if full else sum(rows)
        super().__init__(sum(rows) + (0 if full else 1), zero_row, dim, sparse=sparse, std=std)
        self.fields = len(rows)
        self.register_buffer("offsets", torch.tensor(starts, dtype=torch.int64), persistent=False)
        self.register_buffer("moduli", torch.tensor(moduli, dtype=torch.int64), persistent=False)
        self.register_buffer("salts", signed_tensor(salts), persistent=False)
        self.any_hashed = any(moduli)
        self.dropped_rows = max(len(full), 1)
        with torch.no_grad():
            for i in full:
                self.weight[starts[i] + DROPPED] = 0

    def row_of(self, codes: Tensor, fields: slice = slice(None)) -> Tensor:
        """Return the table rows of codes.

        Shape:
            codes ``(B, F')`` of the fields in the slice -> rows ``(B, F')``, int64.
        """
        rows = codes
        if self.any_hashed:
            modulus = self.moduli[fields]
            mixed = unsigned_mod(splitmix64(codes ^ self.salts[fields]), modulus.clamp(min=1))
            rows = torch.where(modulus > 0, mixed, codes)
        return torch.where(codes == DROPPED, self.zero_row, rows + self.offsets[fields])

    def forward(self, codes: Tensor, fields: slice = slice(None)) -> Tensor:
        """Return the vectors of codes."""
        return self.gather(self.row_of(codes, fields))  # (B, F, D)


def signed_tensor(numbers: Sequence[int]) -> Tensor:
    """Return unsigned 64-bit integers as the int64 of the same bits."""
    signed = [n - 2**64 if n >= 2**63 else n for n in numbers]
    return torch.tensor(signed, dtype=torch.int64)


def splitmix64(z: Tensor) -> Tensor:
    """Mix 64 bits (Steele, Lea, Flood, OOPSLA 2014); int64 stands for uint64."""
    z = z + (0x9E3779B97F4A7C15 - 2**64)
    z = (z ^ _shift(z, 30)) * (0xBF58476D1CE4E5B9 - 2**64)
    z = (z ^ _shift(z, 27)) * (0x94D049BB133111EB - 2**64)
    return z ^ _shift(z, 31)


def unsigned_mod(z: Tensor, modulus: Tensor) -> Tensor:
    """Return ``z mod modulus`` of an int64 that stands for an uint64."""
    half = _shift(z, 1) % modulus
    return (half * 2 + (z & 1)) % modulus


def _shift(z: Tensor, by: int) -> Tensor:
    """Shift right without copying the sign."""
    return (z >> by) & ((1 << (64 - by)) - 1)
