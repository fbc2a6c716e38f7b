"""The table: addressing in full and by hash, the zero row, gradients of touched rows."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch

from ctrkit.data.hashing import field_salt
from ctrkit.data.hashing import splitmix64 as reference_mix
from ctrkit.nn.addressing import splitmix64, unsigned_mod
from ctrkit.nn.tables.base import CodedField
from ctrkit.nn.tables.stacked import StackedTable

SALTS = [field_salt(name, 0, 0) for name in ("a", "b")]


def stacked(sizes, dim, hashed=(0, 0), sparse=False):
    names = ("a", "b")[: len(sizes)]
    coded = [
        CodedField(name, size, False, partial(field_salt, name, 0))
        for name, size in zip(names, sizes, strict=True)
    ]
    sparse_from = 0 if sparse else 2**40
    return StackedTable(coded, hashed[: len(sizes)], dim, sparse_from=sparse_from)


def test_splitmix64_equals_unsigned_arithmetic():
    z = np.random.default_rng(0).integers(0, 2**64, 1000, dtype=np.uint64)
    found = splitmix64(torch.from_numpy(z.view(np.int64))).numpy().view(np.uint64)
    assert (found == reference_mix(z)).all()


@pytest.mark.parametrize("modulus", [1, 2, 1000, 2**31 + 11])
def test_unsigned_mod_equals_numpy(modulus):
    z = np.random.default_rng(1).integers(0, 2**64, 1000, dtype=np.uint64)
    found = unsigned_mod(torch.from_numpy(z.view(np.int64)), torch.tensor(modulus)).numpy()
    assert (found == (z % np.uint64(modulus)).astype(np.int64)).all()


def test_hashed_rows_follow_the_contract():
    """row = splitmix64(code XOR salt) mod R, then the field's offset."""
    table = stacked([2**32, 2**32], 4, hashed=[100, 50])
    codes = torch.tensor([[7, 7], [2**32 - 1, 3]])
    salts = np.array(SALTS, dtype=np.uint64)
    mixed = reference_mix(codes.numpy().astype(np.uint64) ^ salts) % np.array([100, 50], np.uint64)
    assert table.row_of(codes).tolist() == (mixed.astype(np.int64) + np.array([0, 100])).tolist()


def test_full_rows_are_the_codes_of_each_field():
    table = stacked([5, 7], 4)
    assert table.weight.shape == (12, 4)
    assert table.row_of(torch.tensor([[0, 0], [4, 6]])).tolist() == [[0, 5], [4, 11]]


@pytest.mark.parametrize("hashed", [[0, 0], [100, 50], [0, 50]])
@pytest.mark.parametrize("sparse", [False, True])
def test_code_2_is_zero_and_learns_nothing(hashed, sparse):
    table = stacked([9, 9], 4, hashed=hashed, sparse=sparse).train()
    out = table(torch.tensor([[2, 2], [3, 3]]))
    assert torch.equal(out[0], torch.zeros(2, 4))
    assert (out[1] != 0).all()
    if not sparse:
        out.sum().backward()
        assert torch.equal(table.weight.grad[table.zero_row], torch.zeros(4))


def test_touched_rows_carry_the_gradient_of_the_dense_table():
    codes = torch.tensor([[3, 4], [3, 5]])
    torch.manual_seed(0)
    dense = stacked([9, 9], 4)
    torch.manual_seed(0)
    sparse = stacked([9, 9], 4, sparse=True).train()
    factor = torch.randn(2, 2, 4)
    (dense(codes) * factor).sum().backward()
    (sparse(codes) * factor).sum().backward()
    rows, leaf = sparse.touched[0]
    found = torch.zeros_like(dense.weight).index_add_(0, rows, leaf.grad)
    assert torch.equal(found, dense.weight.grad)
    assert sparse.weight.grad is None


def test_evaluation_leaves_no_trace():
    table = stacked([9], 4, sparse=True).eval()
    table(torch.tensor([[3]]))
    assert table.touched == []


@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(rows):
    table = stacked([9, 9], 4, hashed=[0, 3])
    assert table(torch.full((rows, 2), 4)).shape == (rows, 2, 4)
