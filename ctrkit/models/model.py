"""The module: tables, parallel branches, a head. It has ``forward`` and nothing of a trainer."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ctrkit.layout import Layout
from ctrkit.nn.branches import describe_branch
from ctrkit.nn.crosses import Bags, CrossTable
from ctrkit.nn.gates.value import ValueGate
from ctrkit.nn.tables.base import EmbeddingTable


class Model(nn.Module):
    """Codes to logits.

    Along F, fields are in layout order: categorical, numeric, multi-valued. A number z is embedded
    as z times its field's vector (AutoInt, arXiv:1810.11921, eq. 4); a bag is the mean of its
    tokens, an empty bag the zero vector.

    Attributes:
        described: What each branch declares: outputs and inputs.
        gate: During a search for feature values, the gates by which the vectors of every table
            are multiplied.

    Shape:
        codes ``(B, Fc)`` int64, numbers ``(B, Fn)`` float32 with NaN for missing, bags of
        (tokens ``(T,)`` int64, lengths ``(B,)`` int64) -> logits ``(B,)`` float32.
    """

    base: Tensor

    def __init__(
        self,
        layout: Layout,
        tables: nn.ModuleDict,
        branches: nn.ModuleDict,
        head: nn.Module,
        *,
        crosses: CrossTable | None = None,
        embedding_dropout: float = 0.0,
        learn_missing: bool = True,
    ) -> None:
        super().__init__()
        self.layout = layout
        self.tables, self.branches, self.head, self.crosses = tables, branches, head, crosses
        self.embedding_dropout = embedding_dropout
        self.gate: ValueGate | None = None
        self.register_buffer("base", torch.zeros(()))
        self.coded = len(layout.of_kind("categorical"))
        numbers = len(layout.of_kind("numeric"))
        self.described = {n: describe_branch(n, branch) for n, branch in branches.items()}
        self.vectors = nn.ParameterDict()
        self.missing = nn.ParameterDict()
        for name in tables:
            width, std = self.table(name).dim, self.table(name).std
            if numbers:
                self.vectors[name] = nn.Parameter(torch.empty(numbers, width).normal_(0, std))
                if learn_missing:
                    self.missing[name] = nn.Parameter(torch.zeros(numbers, width))

    def table(self, name: str) -> EmbeddingTable:
        """Return the table that branches read as ``name``: fields, weights or second."""
        table = self.tables[name]
        assert isinstance(table, EmbeddingTable)
        return table

    def forward(self, codes: Tensor, numbers: Tensor, bags: Bags = ()) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.head(self.branch_outputs(codes, numbers, bags))  # (B,)
        return logits.float() + self.base  # (B,)

    def start_at(self, rate: float) -> None:
        """Let logits start at the log-odds of the base rate instead of zero."""
        self.base.fill_(math.log(rate / (1 - rate)))

    def branch_outputs(self, codes: Tensor, numbers: Tensor, bags: Bags = ()) -> list[Tensor]:
        """Return ``(B, O)`` of every branch with O > 0."""
        inputs = self.embed(codes, numbers, bags)
        return [
            self.branches[name](*(inputs[read] for read in branch.reads))
            for name, branch in self.described.items()
            if branch.out_dim
        ]

    def embed(self, codes: Tensor, numbers: Tensor, bags: Bags = ()) -> dict[str, Tensor]:
        """Return ``(B, F, D)`` of every table that some branch reads, ``(B, P, D2)`` of crosses."""
        inputs = {}
        gates = self._gates(codes, numbers, bags)
        for name in self.tables:
            x = self._fields(name, codes, numbers, bags, gates)
            if name == "fields":
                x = F.dropout(x, self.embedding_dropout, self.training)
            inputs[name] = x  # (B, F, D)
        if self.crosses is not None:
            inputs["crosses"] = self.crosses(codes, numbers, bags)  # (B, P, D2)
        return inputs

    def _gates(self, codes: Tensor, numbers: Tensor, bags: Bags) -> list[Tensor | None]:
        """Return gates of codes ``(B, Fc, 1)``, numbers ``(B, Fn, 1)``, each bag's ``(T, 1)``."""
        gate = self.gate
        if gate is None:
            return [None] * (2 + len(bags))
        places = (slice(self.coded + i, self.coded + i + 1) for i in range(len(bags)))
        of_bags: list[Tensor | None] = [
            gate(tokens.unsqueeze(1), place).squeeze(1)
            for (tokens, _), place in zip(bags, places, strict=True)
        ]
        coded = gate(codes, slice(0, self.coded)) if self.coded else None
        return [coded, gate.of_numbers(len(numbers)) if gate.numbers else None, *of_bags]

    def _fields(
        self,
        name: str,
        codes: Tensor,
        numbers: Tensor,
        bags: Bags,
        gates: Sequence[Tensor | None],
    ) -> Tensor:
        """Return one table's vectors of all fields, multiplied by their gates."""
        table = self.table(name)
        parts = []
        if self.coded:
            parts.append(_gated(table(codes, slice(0, self.coded)), gates[0]))  # (B, Fc, D)
        if name in self.vectors:
            absent = numbers.isnan()
            vectors = numbers.masked_fill(absent, 0.0).unsqueeze(-1) * self.vectors[name]
            if name in self.missing:
                vectors = torch.where(absent.unsqueeze(-1), self.missing[name], vectors)
            parts.append(_gated(vectors, gates[1]))  # (B, Fn, D)
        for i, (tokens, lengths) in enumerate(bags):
            place = self.coded + i
            rows = table(tokens.unsqueeze(1), slice(place, place + 1)).squeeze(1)  # (T, D)
            rows = _gated(rows, gates[2 + i])
            parts.append(bag_mean(rows, lengths).unsqueeze(1))  # (B, 1, D)
        return torch.cat(parts, dim=1)  # (B, F, D)


def _gated(vectors: Tensor, gates: Tensor | None) -> Tensor:
    return vectors if gates is None else vectors * gates


def bag_mean(rows: Tensor, lengths: Tensor) -> Tensor:
    """Average consecutive runs of rows; an empty run is zero.

    Shape:
        rows ``(T, D)``, lengths ``(B,)`` with sum T -> ``(B, D)``.
    """
    owners = torch.repeat_interleave(lengths, output_size=rows.shape[0])  # (T,)
    total = rows.new_zeros(lengths.shape[0], rows.shape[1]).index_add(0, owners, rows)  # (B, D)
    return total / lengths.clamp(min=1).unsqueeze(1).to(total.dtype)  # (B, D)
