"""A block of rows per field, one block after the other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ctrkit.nn.addressing import signed_tensor, splitmix64, unsigned_mod
from ctrkit.nn.tables.base import CodedField, EmbeddingTable
from ctrkit.schema import DROPPED


class StackedTable(EmbeddingTable):
    """Each field has its own block: a row per code, or fewer rows addressed by hash.

    The base of the ``full``, ``hashed`` and ``auto`` tables, which differ in the rule for the
    size of the blocks.
    """

    offsets: Tensor
    moduli: Tensor
    salts: Tensor

    def __init__(
        self,
        coded: Sequence[CodedField],
        hashed_rows: Sequence[int],
        dim: int,
        *,
        sparse_from: int = 2_000_000,
        std: float = 0.01,
    ) -> None:
        """Allocate the table.

        Args:
            coded: The fields.
            hashed_rows: Per field, the rows into which its codes are hashed; 0: a row per code.
            dim: Width D.
            sparse_from: Rows from which a row-wise optimiser updates the table.
            std: Standard deviation of the initial rows.
        """
        moduli = list(hashed_rows)
        rows = [m or f.codes for m, f in zip(moduli, coded, strict=True)]
        starts = [sum(rows[:i]) for i in range(len(rows))]
        own = [i for i, m in enumerate(moduli) if not m]
        # The first field with a row per code lends its row of code 2; otherwise one is added.
        zero_row = starts[own[0]] + DROPPED if own else sum(rows)
        sparse = sum(rows) >= sparse_from
        super().__init__(sum(rows) + (0 if own else 1), zero_row, dim, sparse=sparse, std=std)
        self.register_buffer("offsets", torch.tensor(starts, dtype=torch.int64), persistent=False)
        self.register_buffer("moduli", torch.tensor(moduli, dtype=torch.int64), persistent=False)
        salts = signed_tensor([field.salt(0) for field in coded])  # (F,)
        self.register_buffer("salts", salts, persistent=False)
        self.any_hashed = any(moduli)
        self.dropped_rows = max(len(own), 1)
        with torch.no_grad():
            for i in own:
                self.weight[starts[i] + DROPPED] = 0

    def row_of(self, codes: Tensor, fields: slice = slice(None)) -> Tensor:
        """Return the table rows of codes."""
        rows = codes
        if self.any_hashed:
            modulus = self.moduli[fields]
            mixed = unsigned_mod(splitmix64(codes ^ self.salts[fields]), modulus.clamp(min=1))
            rows = torch.where(modulus > 0, mixed, codes)
        return torch.where(codes == DROPPED, self.zero_row, rows + self.offsets[fields])

    def has_own_rows(self, field: int) -> bool:
        """Whether each code of a field has its own row."""
        return int(self.moduli[field]) == 0
