"""The contract of embedding tables.

A test suite asserts on :func:`check_table`; ``ctrkit check FILE`` prints its verdicts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ctrkit.config.sections import ModelConfig
from ctrkit.errors import ConfigError
from ctrkit.layout import Layout, LayoutField
from ctrkit.models.build import build_model
from ctrkit.nn.tables.base import EmbeddingTable
from ctrkit.registry import registry
from ctrkit.schema import DROPPED
from ctrkit.testing.models import check_model
from ctrkit.testing.verdicts import Verdict, require, run_checks

LAYOUT = Layout((LayoutField("a", "categorical", 20), LayoutField("b", "categorical", 40)))
HASHED = Layout((*LAYOUT.fields, LayoutField("h", "categorical", 2**32, hashed=True)))
FEW_ROWS = 16  # so that a field of LAYOUT has more codes


@dataclass(frozen=True)
class TableCase:
    """A kind of table and the fields that it holds.

    Attributes:
        name: The kind.
        layout: The fields.
        sparse: Whether it is updated row-wise.
    """

    name: str
    layout: Layout = LAYOUT
    sparse: bool = False

    def make(self) -> EmbeddingTable:
        """Return the table of a model with it; equal cases give equal tables."""
        config = ModelConfig(name="fm", interactions=("flat",), table=self.name, rows=FEW_ROWS)
        sparse_from = 0 if self.sparse else 2**40
        return build_model(config, self.layout, sparse_from=sparse_from).table("fields").train()

    def codes(self, rows: int) -> Tensor:
        """Draw codes ``(rows, F)`` over the whole range, the reserved ones included."""
        draw = torch.Generator().manual_seed(0)
        columns = [torch.randint(0, f.rows, (rows,), generator=draw) for f in self.layout.fields]
        return torch.stack(columns, dim=1)  # (B, F)


def check_table(name: str) -> list[Verdict]:
    """Run the contract suite on a registered kind of embedding table.

    Checked: the checks of :func:`ctrkit.testing.check_interaction` on a model with the table;
    rows are in range and depend on the code and its field alone; code 2 is the zero vector and
    learns nothing; row-wise gradients equal the dense ones; hash-encoded fields work or are
    refused.
    """
    registry.get("table", name)
    config = ModelConfig(name="fm", table=name, rows=FEW_ROWS)
    checks = {
        "rows": _rows,
        "slices": _slices,
        "dropped code": _dropped,
        "row-wise": _rowwise,
        "hash-encoded": _hashed,
    }
    return [
        *check_model(config, component=name),
        *run_checks(name, TableCase(name), checks),
    ]


def _rows(case: TableCase) -> None:
    table = case.make()
    codes = case.codes(200)
    rows = table.row_of(codes)
    size = len(table.weight)
    in_range = bool(((rows >= 0) & (rows < size)).all())
    require(in_range, f"rows must be in 0..{size - 1}; got {int(rows.min())}..{int(rows.max())}")
    require(table.rows == size, f"rows must be {size}, the length of the weight; got {table.rows}")
    for count in (0, 1):
        shape, expected = tuple(table(codes[:count]).shape), (count, codes.shape[1], table.dim)
        require(shape == expected, f"expected vectors of shape {expected}; got {shape}")


def _slices(case: TableCase) -> None:
    table, codes = case.make(), case.codes(50)
    vectors = table(codes)
    for field in range(codes.shape[1]):
        place = slice(field, field + 1)
        same = torch.equal(table(codes[:, place], place), vectors[:, place])
        require(same, f"field {field} alone has other vectors than among the others")


def _dropped(case: TableCase) -> None:
    for sparse in (False, True):
        table = replace(case, sparse=sparse).make()
        dropped = torch.full((3, len(case.layout.fields)), DROPPED)
        require(not table(dropped).any(), f"code {DROPPED} must be the zero vector")
        rows = table.row_of(dropped)
        require(bool((rows == table.zero_row).all()), f"code {DROPPED} must have row zero_row")


def _rowwise(case: TableCase) -> None:
    dense, sparse = case.make(), replace(case, sparse=True).make()
    require(sparse.sparse and not dense.sparse, "sparse must follow from sparse_from")
    codes = case.codes(50)
    factor = torch.randn(*codes.shape, dense.dim, generator=torch.Generator().manual_seed(1))
    (dense(codes) * factor).sum().backward()
    (sparse(codes) * factor).sum().backward()
    expected = dense.weight.grad
    assert expected is not None
    summed = torch.zeros_like(expected)
    for rows, leaf in sparse.touched:
        assert leaf.grad is not None
        summed.index_add_(0, rows, leaf.grad)
    summed[sparse.zero_row] = 0
    same = torch.allclose(summed, expected, atol=1e-6)
    require(same, "row-wise gradients differ from those of the dense table")


def _hashed(case: TableCase) -> None:
    hashed = replace(case, layout=HASHED)
    try:
        hashed.make()
    except ConfigError:  # a table may refuse hash-encoded fields
        return
    _rows(hashed)
    _slices(hashed)
