"""What every embedding table is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ctrkit.nn.rows import RowParameter


@dataclass(frozen=True)
class CodedField:
    """What a table may know about a field.

    Attributes:
        name: For errors.
        codes: Codes run over ``0..codes-1``, the reserved ones included; 2**32 if hash-encoded.
        hashed: Whether the field is hash-encoded, so that no table can hold a row per code.
        salt: Number of the look-up -> 64-bit salt of hashed addressing.
    """

    name: str
    codes: int
    hashed: bool
    salt: Callable[[int], int]


class RowTable(RowParameter):
    """Rows of embeddings, normal at the start; one row is zero and learns nothing.

    Attributes:
        rows: R.
        dim: Width D.
        std: Standard deviation of the initial rows.
    """

    zero_row: int

    def __init__(self, rows: int, zero_row: int, dim: int, *, sparse: bool, std: float) -> None:
        """Allocate the rows.

        Args:
            rows: R.
            zero_row: The row that stays zero.
            dim: Width D.
            sparse: Whether a row-wise optimiser updates the rows.
            std: Standard deviation of the initial rows.
        """
        super().__init__(torch.empty(rows, dim), zero_row, sparse=sparse)
        self.rows, self.dim, self.std = rows, dim, std
        nn.init.normal_(self.weight, 0.0, std)
        with torch.no_grad():
            self.weight[zero_row] = 0


class EmbeddingTable(RowTable, ABC):
    """Vectors of integer codes, all fields in one parameter: the base of every kind of table.

    A kind is a subclass registered with ``@table(name)``. Its positional constructor parameters
    are facts, supplied by name: ``coded`` (a sequence of :class:`CodedField`), ``dim``, ``rows``
    (``model.rows``), ``sparse_from`` and ``std``; keyword-only ones are hyper-parameters, given in
    ``[model.<name>]``.

    Code 2 (dropped by a selection) must map to ``zero_row`` under every addressing.

    Attributes:
        dropped_rows: Number of rows that are always zero.

    Shape:
        codes ``(B, F)`` int64 -> ``(B, F, D)``.
    """

    dropped_rows: int = 1

    @abstractmethod
    def row_of(self, codes: Tensor, fields: slice = slice(None)) -> Tensor:
        """Return the table rows of codes.

        Shape:
            codes ``(B, F')`` of the fields in the slice -> rows ``(B, F')``, int64.
        """

    @abstractmethod
    def has_own_rows(self, field: int) -> bool:
        """Whether each code of a field has a row that nothing else shares."""

    def forward(self, codes: Tensor, fields: slice = slice(None)) -> Tensor:
        """Return the vectors of codes of the fields in the slice."""
        return self.gather(self.row_of(codes, fields))  # (B, F', D)
