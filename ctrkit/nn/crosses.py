"""Crosses of pairs of fields: row numbers computed on device from the members' codes.

A cross of codes (a, b) finds its row in one of two ways. ``hashed``: ``splitmix64(splitmix64(a XOR
salt) XOR b) mod R`` with a salt per pair; all pairs share the rows. ``exact``: by its position
among the sorted keys that are frequent enough in training; each pair then also has one row for
all its other crosses.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ctrkit.nn.addressing import signed_tensor, splitmix64, unsigned_mod
from ctrkit.nn.tables.base import RowTable
from ctrkit.schema import DROPPED, MISSING, RESERVED

Bags = Sequence[tuple[Tensor, Tensor]]
Pair = tuple[int, int]


class Buckets(nn.Module):
    """Turn real numbers into codes of their buckets: 3 + the edges at or below, 0 if missing.

    Shape:
        ``(B, Fn)`` float32 -> ``(B, Fn)`` int64.
    """

    edges: Tensor

    def __init__(self, edges: Sequence[Sequence[float]]) -> None:
        super().__init__()
        width = max((len(e) for e in edges), default=0)
        padded = [[*e, *[float("inf")] * (width - len(e))] for e in edges]
        table = torch.tensor(padded, dtype=torch.float32).reshape(len(edges), width)  # (Fn, E)
        self.register_buffer("edges", table, persistent=False)

    def forward(self, numbers: Tensor) -> Tensor:
        """Count the edges."""
        codes = (numbers.unsqueeze(-1) >= self.edges).sum(-1) + RESERVED  # (B, Fn)
        return codes.masked_fill(numbers.isnan(), MISSING)


class CrossTable(RowTable):
    """Vectors of crosses, zero at the start: a cross that training never sees stays zero.

    The cross of a list is the mean over its tokens (of two lists: over all pairs of tokens); a
    number enters by its bucket. Code 2 in a member gives the zero row.

    Shape:
        codes ``(B, Fc)``, numbers ``(B, Fn)``, bags -> ``(B, P, D)``, in the order of the pairs.
    """

    left: Tensor
    right: Tensor
    salts: Tensor
    strides: Tensor
    bases: Tensor
    keys: Tensor

    def __init__(
        self,
        pairs: Sequence[Pair],
        salts: Sequence[int],
        dim: int,
        *,
        singles: int,
        edges: Sequence[Sequence[float]] = (),
        rows: int = 0,
        sizes: Sequence[int] = (),
        keys: npt.NDArray[np.int64] | None = None,
        sparse_from: int = 2_000_000,
    ) -> None:
        """Allocate the table.

        Args:
            pairs: Positions (i, j) of the members in the layout, i < j.
            salts: 64-bit salt of each pair.
            dim: Width D.
            singles: Number of fields that are not lists; they come first in the layout.
            edges: Bucket edges of each number.
            rows: Rows of the hashed table.
            sizes: Codes of each field of the layout, for exact keys.
            keys: Sorted keys of exact crosses, ``base + a * sizes[j] + b``; the base of a pair is
                the sum of ``sizes[i] * sizes[j]`` over the pairs before it. None: hashed.
            sparse_from: Rows from which a row-wise optimiser updates the table.
        """
        shared = rows if keys is None else len(pairs) + len(keys)
        super().__init__(shared + 1, shared, dim, sparse=shared >= sparse_from, std=0.0)
        self.pairs, self.singles, self.exact = list(pairs), singles, keys is not None
        self.shared = shared
        self.buckets = Buckets(edges)
        strides = [sizes[j] for _, j in pairs] if self.exact else [0] * len(pairs)
        spans = [sizes[i] * sizes[j] for i, j in pairs] if self.exact else [0] * len(pairs)
        self._constant("left", torch.tensor([i for i, _ in pairs], dtype=torch.int64))
        self._constant("right", torch.tensor([j for _, j in pairs], dtype=torch.int64))
        self._constant("strides", torch.tensor(strides, dtype=torch.int64))
        bases = [sum(spans[:p]) for p in range(len(spans))]
        self._constant("bases", torch.tensor(bases, dtype=torch.int64))
        self._constant("salts", signed_tensor(salts))
        self._constant("keys", torch.tensor([] if keys is None else keys, dtype=torch.int64))
        self._groups = _group_pairs(pairs, singles)
        order = [p for _, members in self._groups for p in members]
        self._back = None if order == sorted(order) else [order.index(p) for p in sorted(order)]

    def _constant(self, name: str, values: Tensor) -> None:
        self.register_buffer(name, values, persistent=False)

    def row_of(self, left: Tensor, right: Tensor, pairs: Tensor) -> Tensor:
        """Return the table rows of crosses.

        Shape:
            codes ``(N, P')`` twice, numbers of their pairs ``(P',)`` -> rows ``(N, P')``.
        """
        if self.exact:
            wanted = self.bases[pairs] + left * self.strides[pairs] + right  # (N, P')
            if len(self.keys):
                place = torch.searchsorted(self.keys, wanted).clamp_(max=len(self.keys) - 1)
                has_row = self.keys[place] == wanted
                rows = torch.where(has_row, place + len(self.pairs), pairs)
            else:
                rows = pairs.expand_as(wanted)  # (N, P')
        else:
            mixed = splitmix64(splitmix64(left ^ self.salts[pairs]) ^ right)
            rows = unsigned_mod(mixed, torch.as_tensor(self.shared, device=mixed.device))
        return rows.masked_fill((left == DROPPED) | (right == DROPPED), self.zero_row)

    def forward(self, codes: Tensor, numbers: Tensor, bags: Bags = ()) -> Tensor:
        """Return the vectors of all pairs."""
        coded = [codes, self.buckets(numbers)] if len(self.buckets.edges) else [codes]
        single = torch.cat(coded, dim=1)  # (B, singles)
        groups = [self._group(lists, members, single, bags) for lists, members in self._groups]
        if not groups:
            return self.weight.new_zeros(len(codes), 0, self.dim)  # (B, 0, D)
        vectors = groups[0] if len(groups) == 1 else torch.cat(groups, dim=1)  # (B, P, D)
        return vectors if self._back is None else vectors[:, self._back]

    def _group(self, lists: Pair, members: list[int], single: Tensor, bags: Bags) -> Tensor:
        """Return the vectors of pairs with the same lists among their members, or with none."""
        pairs = torch.tensor(members, device=single.device)  # (P',)
        first, second = lists
        if second < 0:
            left, right = single[:, self.left[pairs]], single[:, self.right[pairs]]  # (B, P')
            return self.gather(self.row_of(left, right, pairs))  # (B, P', D)
        tokens, lengths = bags[second]
        owners = torch.repeat_interleave(lengths, output_size=len(tokens))  # (T,)
        if first < 0:
            left = single[:, self.left[pairs]][owners]  # (T, P')
            right = tokens.unsqueeze(1).expand_as(left)  # (T, P')
        else:
            first_tokens, first_lengths = bags[first]
            (a, b), owners, lengths = _all_pairs(first_lengths, lengths)
            left, right = first_tokens[a].unsqueeze(1), tokens[b].unsqueeze(1)  # (T, 1)
        rows = self.gather(self.row_of(left, right, pairs))  # (T, P', D)
        total = rows.new_zeros(len(single), *rows.shape[1:]).index_add(0, owners, rows)
        return total / lengths.clamp(min=1).view(-1, 1, 1).to(total.dtype)  # (B, P', D)


def _group_pairs(pairs: Sequence[Pair], singles: int) -> list[tuple[Pair, list[int]]]:
    """Group pairs by the lists among their members: (-1, -1), (-1, list), (list, list)."""
    groups: dict[Pair, list[int]] = {}
    for p, (i, j) in enumerate(pairs):
        lists = (max(i - singles, -1), max(j - singles, -1))
        groups.setdefault(lists, []).append(p)
    return sorted(groups.items())


def _all_pairs(first: Tensor, second: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor, Tensor]:
    """Pair each token of one list with each token of another, row by row.

    Args:
        first: Lengths of the first list ``(B,)``.
        second: Lengths of the second list ``(B,)``.

    Returns:
        Places in both lists' tokens ``(T,)`` each; the row of each pair ``(T,)``; the number of
        pairs in each row ``(B,)``.
    """
    owner = torch.repeat_interleave(first, output_size=int(first.sum()))  # (T1,)
    times = second[owner]  # (T1,)
    total = int(times.sum())
    left = torch.repeat_interleave(times, output_size=total)  # (T,)
    starts = (times.cumsum(0) - times)[left]  # (T,)
    begins = (second.cumsum(0) - second)[owner[left]]  # (T,)
    right = torch.arange(total, device=first.device) - starts + begins  # (T,)
    return (left, right), owner[left], first * second
