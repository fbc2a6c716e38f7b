"""OptInter: each pair of fields memorized, factorized or left out. Lyu et al., arXiv:2108.01265."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from ctrkit.nn.gates.pair import OPS, PairGate
from ctrkit.registry import interaction

Op = Literal["memorize", "factorize", "naive"]
UNDECIDED = "undecided"
"""In a search: both candidates are computed and mixed by the gate."""


@interaction("pairs", paper="arXiv:2108.01265")
class Pairs(nn.Module):
    """Vectors of pairs: embeddings of crosses, products of second vectors, or nothing.

    While ``watch`` is set, ``watched`` keeps crosses, products and their mixture of a forward pass.
    ``reads`` names what the chosen operations need: ``second (B, F, D2)``, ``crosses (B, Pm, D2)``
    of the pairs in ``crossed``, or neither.

    Shape:
        ``(B, Pa * D2)`` of the Pa pairs that are not naive, in the order of the pairs; with
        ``reduce = "sum"`` the sum of all their entries ``(B, 1)``.
    """

    left: Tensor
    right: Tensor

    def __init__(
        self,
        fields: int,
        second_dim: int,
        pairs: Sequence[tuple[int, int]],
        ops: Sequence[str],
        *,
        op: Op = "factorize",
        reduce: Literal["concat", "sum"] = "concat",
    ) -> None:
        """Take up an architecture.

        Args:
            fields: F.
            second_dim: Width D2 of products and crosses.
            pairs: Positions (i, j) of the members, i < j.
            ops: Operation of each pair; none at all: ``op`` for every pair.
            op: See ``ops``.
            reduce: ``sum`` adds everything up to one number: with width 1 and every pair
                memorized this is Poly2's second order.
        """
        super().__init__()
        self.pairs = list(pairs)
        self.ops = list(ops) or [op] * len(self.pairs)
        unknown = [o for o in self.ops if o not in (*OPS, UNDECIDED)]
        if unknown or len(self.ops) != len(self.pairs):
            raise ValueError(f"an operation of {', '.join(OPS)} for each pair; got {unknown}")
        self.reduce, self.gate = reduce, None
        self.watch = False
        self.watched: tuple[Tensor, Tensor, Tensor] | None = None
        self.crossed = [p for p, o in enumerate(self.ops) if o in (OPS[0], UNDECIDED)]
        multiplied = [p for p, o in enumerate(self.ops) if o in (OPS[1], UNDECIDED)]
        for name, side in (("left", 0), ("right", 1)):
            at = torch.tensor([self.pairs[p][side] for p in multiplied], dtype=torch.int64)  # (Pf,)
            self.register_buffer(name, at, persistent=False)
        self.undecided = UNDECIDED in self.ops
        if self.undecided and multiplied != self.crossed:
            raise ValueError("in a search a pair is undecided or naive")
        self.reads = tuple(
            name for name, some in (("second", multiplied), ("crosses", self.crossed)) if some
        )
        order = [*multiplied, *self.crossed]
        self._order = (
            None if order == sorted(order) else sorted(range(len(order)), key=order.__getitem__)
        )
        active = len(self.crossed) if self.undecided else len(order)
        self.out_dim = 0 if not active else 1 if reduce == "sum" else active * second_dim

    gate: PairGate | None

    def forward(self, *inputs: Tensor) -> Tensor:
        """Multiply, look up, and mix where undecided."""
        given = dict(zip(self.reads, inputs, strict=True))
        parts = []
        if "second" in given:
            x = given["second"]
            parts.append(x[:, self.left] * x[:, self.right])  # (B, Pf, D2)
        if "crosses" in given:
            parts.append(given["crosses"])  # (B, Pm, D2)
        every = self._mixed(parts) if self.undecided else torch.cat(parts, dim=1)  # (B, Pa, D2)
        if self._order is not None and not self.undecided:
            every = every[:, self._order]
        if self.reduce == "sum":
            return every.sum(dim=(1, 2)).unsqueeze(1)  # (B, 1)
        return every.flatten(1)  # (B, Pa * D2)

    def _mixed(self, parts: Sequence[Tensor]) -> Tensor:
        assert self.gate is not None, "undecided pairs need a gate: a search sets it"
        product, cross = parts
        soft: Tensor = self.gate().to(cross.dtype)  # (P, 3)
        mixed = cross * soft[:, :1] + product * soft[:, 1:2]  # (B, P, D2)
        if self.watch:
            self.watched = (cross, product, mixed)
        return mixed
