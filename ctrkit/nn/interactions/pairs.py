"""OptInter: each pair of fields memorized, factorized or naive. Lyu et al., arXiv:2108.01265."""

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

    Attributes:
        reads: What the chosen operations need: ``second (B, F, D2)``, ``crosses (B, Pm, D2)``, both
            or neither.
        crossed: Numbers of the pairs whose crosses it reads.
        gate: In a search, the gate that mixes the operations of undecided pairs.
        watch: Whether forward passes keep their crosses, products and mixtures in ``watched``.
        watched: Those of the last forward pass, ``(B, P, D2)`` each.

    Shape:
        ``(B, Pa * D2)`` of the Pa pairs that are not naive, in the order of the pairs; with
        ``reduce = "sum"`` the sum of all their entries ``(B, 1)``.
    """

    left: Tensor
    right: Tensor
    gate: PairGate | None

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
        """Set up the operations.

        Args:
            fields: F.
            second_dim: Width D2 of products and crosses.
            pairs: Positions (i, j) of the members, i < j.
            ops: Operation of each pair; empty: ``op`` for every pair.
            op: See ``ops``.
            reduce: ``sum`` adds all entries up: with width 1 and every pair memorized this is
                Poly2's second order.
        """
        super().__init__()
        self.pairs = list(pairs)
        self.ops = list(ops) or [op] * len(self.pairs)
        unknown = [o for o in self.ops if o not in (*OPS, UNDECIDED)]
        if unknown or len(self.ops) != len(self.pairs):
            raise ValueError(
                f"each of the {len(self.pairs)} pairs must have an operation of {', '.join(OPS)}; "
                f"got {len(self.ops)} operations, unknown: {unknown}"
            )
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
            raise ValueError("in a search each pair must be undecided or naive")
        self.reads = tuple(
            name for name, some in (("second", multiplied), ("crosses", self.crossed)) if some
        )
        order = [*multiplied, *self.crossed]
        self._order = (
            None if order == sorted(order) else sorted(range(len(order)), key=order.__getitem__)
        )
        active = len(self.crossed) if self.undecided else len(order)
        self.out_dim = 0 if not active else 1 if reduce == "sum" else active * second_dim

    def forward(self, *inputs: Tensor) -> Tensor:
        """Multiply, look up, and mix where undecided."""
        by_name = dict(zip(self.reads, inputs, strict=True))
        parts = []
        if "second" in by_name:
            x = by_name["second"]
            parts.append(x[:, self.left] * x[:, self.right])  # (B, Pf, D2)
        if "crosses" in by_name:
            parts.append(by_name["crosses"])  # (B, Pm, D2)
        vectors = self._mixed(parts) if self.undecided else torch.cat(parts, dim=1)  # (B, Pa, D2)
        if self._order is not None and not self.undecided:
            vectors = vectors[:, self._order]
        if self.reduce == "sum":
            return vectors.sum(dim=(1, 2)).unsqueeze(1)  # (B, 1)
        return vectors.flatten(1)  # (B, Pa * D2)

    def _mixed(self, parts: Sequence[Tensor]) -> Tensor:
        assert self.gate is not None, "undecided pairs need a gate: a search sets it"
        product, cross = parts
        soft: Tensor = self.gate().to(cross.dtype)  # (P, 3)
        mixed = cross * soft[:, :1] + product * soft[:, 1:2]  # (B, P, D2)
        if self.watch:
            self.watched = (cross, product, mixed)
        return mixed
