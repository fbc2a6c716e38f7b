"""Crosses of pairs of fields: ids computed on device from the members' codes, one fused table.

A cross of codes (a, b) finds its row in one of two ways. ``hashed``: ``splitmix64(splitmix64(a XOR
salt) XOR b) mod R``, the salt the pair's own; the rows are shared by all pairs. ``exact``: by
its place among the sorted keys that training met often enough; every pair then also has one row
for all that it did not meet.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ctrkit.nn.embedding import RowStore, signed_tensor, splitmix64, unsigned_mod
from ctrkit.schema import DROPPED, MISSING, RESERVED

Bags = Sequence[tuple[Tensor, Tensor]]
Pair = tuple[int, int]


class Buckets(nn.Module):
    """Real numbers to the codes of their buckets: 3 + the edges at or below, 0 where missing.

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
        above = (numbers.unsqueeze(-1) >= self.edges).sum(-1) + RESERVED  # (B, Fn)
        return above.masked_fill(numbers.isnan(), MISSING)


class CrossTable(RowStore):
    """Vectors of crosses; a cross that training never met is the zero vector at the start.

    A list crosses as the mean over its tokens (two lists: over all pairs of tokens), a number by
    its bucket. Code 2 in a member gives the zero row.

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
            salts: Of each pair, 64 bits.
            dim: Width D.
            singles: Fields that are no lists; these stand first in the layout.
            edges: Bucket edges of each number.
            rows: Of the hashed table.
            sizes: Codes of each field of the layout, for exact keys.
            keys: Sorted keys of exact crosses, ``base + a * sizes[j] + b``, the base of a pair
                being the product of sizes summed over the pairs before it; None: hashed.
            sparse_from: Rows from which the table is updated row-wise.
        """
        shared = rows if keys is None else len(pairs) + len(keys)
        super().__init__(shared + 1, shared, dim, sparse=shared >= sparse_from, std=0.0)
        self.pairs, self.singles, self.exact = list(pairs), singles, keys is not None
        self.shared = shared
        self.buckets = Buckets(edges)
        strides = [sizes[j] for _, j in pairs] if self.exact else [0] * len(pairs)
        spans = [sizes[i] * sizes[j] for i, j in pairs] if self.exact else [0] * len(pairs)
        bases = [sum(spans[:p]) for p in range(len(spans))]
        for name, values in (
            ("left", [i for i, _ in pairs]),
            ("right", [j for _, j in pairs]),
            ("strides", strides),
            ("bases", bases),
        ):
            made = torch.tensor(values, dtype=torch.int64)  # (P,)
            self.register_buffer(name, made, persistent=False)
        self.register_buffer("salts", signed_tensor(salts), persistent=False)
        found = torch.from_numpy(np.asarray([] if keys is None else keys, np.int64).copy())
        self.register_buffer("keys", found, persistent=False)
        self._groups = _groups(pairs, singles)
        order = [p for _, members in self._groups for p in members]
        self._back = None if order == sorted(order) else [order.index(p) for p in sorted(order)]

    def row_of(self, left: Tensor, right: Tensor, pairs: Tensor) -> Tensor:
        """Return the table rows of crosses.

        Shape:
            codes ``(N, P')`` twice, numbers of their pairs ``(P',)`` -> rows ``(N, P')``.
        """
        if self.exact:
            wanted = self.bases[pairs] + left * self.strides[pairs] + right  # (N, P')
            if len(self.keys):
                place = torch.searchsorted(self.keys, wanted).clamp_(max=len(self.keys) - 1)
                met = self.keys[place] == wanted
                rows = torch.where(met, place + len(self.pairs), pairs)
            else:
                rows = pairs.expand_as(wanted)  # (N, P')
        else:
            mixed = splitmix64(splitmix64(left ^ self.salts[pairs]) ^ right)
            rows = unsigned_mod(mixed, torch.as_tensor(self.shared, device=mixed.device))
        return rows.masked_fill((left == DROPPED) | (right == DROPPED), self.zero_row)

    def forward(self, codes: Tensor, numbers: Tensor, bags: Bags = ()) -> Tensor:
        """Return the vectors of all pairs."""
        parts = [codes, self.buckets(numbers)] if len(self.buckets.edges) else [codes]
        single = torch.cat(parts, dim=1)  # (B, singles)
        found = [self._group(kind, members, single, bags) for kind, members in self._groups]
        if not found:
            return self.weight.new_zeros(len(codes), 0, self.dim)  # (B, 0, D)
        every = found[0] if len(found) == 1 else torch.cat(found, dim=1)  # (B, P, D)
        return every if self._back is None else every[:, self._back]

    def _group(self, kind: Pair, members: list[int], single: Tensor, bags: Bags) -> Tensor:
        """Return the vectors of pairs alike: of two single fields, or with the same lists."""
        pairs = torch.tensor(members, device=single.device)  # (P',)
        first, second = kind
        if second < 0:
            left, right = single[:, self.left[pairs]], single[:, self.right[pairs]]  # (B, P')
            return self.gather(self.row_of(left, right, pairs))  # (B, P', D)
        tokens, lengths = bags[second]
        owners = torch.repeat_interleave(lengths, output_size=len(tokens))  # (T,)
        if first < 0:
            left = single[:, self.left[pairs]][owners]  # (T, P')
            right = tokens.unsqueeze(1).expand_as(left)  # (T, P')
        else:
            ours, counts = bags[first]
            at, owners, lengths = _every_two(counts, lengths)
            left, right = ours[at[0]].unsqueeze(1), tokens[at[1]].unsqueeze(1)  # (T, 1)
        rows = self.gather(self.row_of(left, right, pairs))  # (T, P', D)
        total = rows.new_zeros(len(single), *rows.shape[1:]).index_add(0, owners, rows)
        return total / lengths.clamp(min=1).view(-1, 1, 1).to(total.dtype)  # (B, P', D)


def _groups(pairs: Sequence[Pair], singles: int) -> list[tuple[Pair, list[int]]]:
    """Part pairs by the lists among their members: (-1, -1), (-1, list), (list, list)."""
    found: dict[Pair, list[int]] = {}
    for p, (i, j) in enumerate(pairs):
        kind = (max(i - singles, -1), max(j - singles, -1))
        found.setdefault(kind, []).append(p)
    return sorted(found.items())


def _every_two(first: Tensor, second: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor, Tensor]:
    """Pair every token of one list with every token of another, row by row.

    Returns:
        Places in both lists' tokens ``(T,)`` each, the rows ``(T,)``, their numbers ``(B,)``.
    """
    owner = torch.repeat_interleave(first, output_size=int(first.sum()))  # (T1,)
    times = second[owner]  # (T1,)
    total = int(times.sum())
    left = torch.repeat_interleave(times, output_size=total)  # (T,)
    starts = (times.cumsum(0) - times)[left]  # (T,)
    begins = (second.cumsum(0) - second)[owner[left]]  # (T,)
    right = torch.arange(total, device=first.device) - starts + begins  # (T,)
    return (left, right), owner[left], first * second
