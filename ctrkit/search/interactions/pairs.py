"""The pairs of fields of a data set: which are searched, and how many crosses they have."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, cast

from pydantic import TypeAdapter

from ctrkit.checksums import found_damaged, rewriting
from ctrkit.config.sections import PairOperation
from ctrkit.data.encode.cross_counts import count_crosses, distinct_crosses
from ctrkit.data.store.batches import Batches
from ctrkit.data.store.dataset import Dataset
from ctrkit.errors import ConfigError
from ctrkit.files import write_json
from ctrkit.models.pairs import field_pairs
from ctrkit.nn.gates.pair import OPS
from ctrkit.rank.folder import pairs_from_ranking
from ctrkit.runs.shared import shared_value
from ctrkit.search.interactions.config import InteractionsConfig
from ctrkit.search.interactions.information import Information, pair_information
from ctrkit.search.outcome import FORMAT, to_plain

logger = logging.getLogger(__name__)
Ranked = set[frozenset[str]]
ROWS = 1_000_000
"""Training rows that are read where a sample is enough."""
BATCH = 65_536
SPREAD = 2
"""Rows of a hashed table per cross in the training rows, where the budget allows."""


def ranked_pairs(config: InteractionsConfig, names: Sequence[str]) -> Ranked | None:
    """Return the pairs that the ranking ``search.pairs`` selects; None: all pairs are searched.

    Args:
        config: ``[search]`` names the folder of the ranking.
        names: Names of the fields.

    Raises:
        ConfigError: The ranking has no pair of these fields.
        RunFolderError: The folder holds no ranking.
    """
    search = config.search
    if search.pairs is None:
        return None
    pairs = [frozenset(p) for p in pairs_from_ranking(Path(search.pairs)) if set(p) <= set(names)]
    if not pairs:
        raise ConfigError(
            f"the ranking {search.pairs!r} has no pair of these fields; rank the same data "
            "with --order 2"
        )
    return set(pairs[: search.most_pairs])


class FieldPairs:
    """All pairs of fields of a data set, in the model's order.

    Attributes:
        pairs: Positions of the two fields.
        names: Names of the two fields.
        searched: Which pairs are searched, as positions in ``pairs``.
    """

    def __init__(
        self, config: InteractionsConfig, data: Dataset, ranked: Ranked | None, file: Path
    ) -> None:
        """Pair the fields.

        Args:
            config: The search's configuration.
            data: The encoded rows.
            ranked: The pairs that are searched; None: all.
            file: ``crosses.json``, which keeps the counts of crosses.
        """
        self.config, self.data, self.file = config, data, file
        names = data.layout.names
        self.pairs = field_pairs(data.layout)
        self.names = [(names[i], names[j]) for i, j in self.pairs]
        self.exact = config.model.crosses == "exact"
        self.searched = [
            p for p, pair in enumerate(self.names) if ranked is None or frozenset(pair) in ranked
        ]

    @cached_property
    def rows(self) -> list[int]:
        """How many crosses of each pair have, or would have, their own row."""
        if self.file.is_file() and not found_damaged(self.file.parent, [self.file.name]):
            return cast(list[int], json.loads(self.file.read_text(encoding="utf-8"))["rows"])
        least = self.config.model.cross_min_count if self.exact else None
        facts = {"cross_rows": self.names, "min_count": least, **self._facts()}
        rows = cast(list[int], shared_value(self.config.data, facts, self._count))
        with rewriting(self.file.parent, self.file.name, create=True):
            write_json(self.file, {"format": FORMAT, "pairs": self.names, "rows": rows})
        return rows

    def information(self) -> list[Information]:
        """Return the information of each pair about the label."""
        facts = {"pair_information": self.names, **self._facts()}
        stored = shared_value(self.config.data, facts, self._informed)
        return TypeAdapter(list[Information]).validate_python(stored)

    def cost(self, pair: int) -> float:
        """Return the bytes of memorizing a pair."""
        return self.bytes(self.rows[pair])

    def bytes(self, rows: float) -> float:
        """Return the bytes of rows of crosses."""
        return rows * self.config.model.second_dim * 4

    def memorized(self, ops: Sequence[str]) -> int:
        """Return how many crosses the memorized pairs have."""
        return sum(n for n, op in zip(self.rows, ops, strict=True) if op == OPS[0])

    def shared_rows(self, ops: Sequence[str]) -> int:
        """Return the rows of the table that hashed crosses share."""
        most = int(self.config.search.budget / self.bytes(1))
        return max(1, min(SPREAD * self.memorized(ops), most))

    def fits(self, ops: Sequence[str]) -> bool:
        """Return whether memorized crosses have their own rows within the budget."""
        return self.exact and self.bytes(self.memorized(ops)) <= self.config.search.budget

    def operations(self, ops: Sequence[str]) -> tuple[PairOperation, ...]:
        """Return operations as ``pairs.json`` holds them."""
        least = self.config.model.cross_min_count if self.exact else 0
        return tuple(
            PairOperation(
                fields=names,
                op=cast(Any, op),
                rows=rows if op == OPS[0] else 0,
                min_count=least if op == OPS[0] else 0,
            )
            for names, op, rows in zip(self.names, ops, self.rows, strict=True)
        )

    def _facts(self) -> dict[str, object]:
        fingerprint = self.data.info.fingerprint
        return {"most_rows": ROWS, "rows": fingerprint, "format": FORMAT}

    def _batches(self) -> Batches:
        return Batches(self.data.shards, "train", BATCH, shuffle=False)

    def _count(self) -> list[int]:
        logger.info("counting the crosses of %d pairs", len(self.pairs))
        layout, stream = self.data.layout, self._batches().epoch(0)
        if self.exact:
            counts = count_crosses(stream, layout, self.pairs)
            return [int(n) for n in counts.distinct(self.config.model.cross_min_count)]
        return distinct_crosses(islice(stream, -(-ROWS // BATCH)), layout, self.pairs)

    def _informed(self) -> Any:
        stream = self._batches().epoch(0)
        return to_plain(pair_information(stream, self.data.layout, self.pairs, most_rows=ROWS))
