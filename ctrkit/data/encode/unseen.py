"""How many values of each field training did not hold: in validation, and in rows that are scored.

A share far above that of validation means that the rows differ from the training rows: another
period or population, or values that are spelled in another way.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ctrkit.data.store.batch import Encoded, Index, take_bag
from ctrkit.layout import Layout
from ctrkit.schema import MISSING, UNSEEN, FieldKind

_FEWEST = 20  # values by which a share is judged, at least
_MARGIN = 0.2  # a share this far above that of validation is reported ...
_ERRORS = 4.0  # ... if it is this many standard errors above it, too
_LISTED = 5  # fields that a message lists


class UnseenTally:
    """Counts unseen values (code 1) and present ones per field; hashed fields have no such code."""

    def __init__(self, layout: Layout) -> None:
        """Count nothing yet.

        Args:
            layout: Layout of the encoded rows.
        """
        self._coded = _with_vocabularies(layout, "categorical")
        self._multi = _with_vocabularies(layout, "multi")
        self._present = np.zeros(len(self._coded) + len(self._multi), np.int64)
        self._unseen = np.zeros_like(self._present)

    def add(self, encoded: Encoded, rows: Index | None = None) -> None:
        """Count encoded rows.

        Args:
            encoded: Rows (B).
            rows: Positions (n,) of the rows to count; None: all.
        """
        columns = [encoded.codes[:, i] for i in self._coded.values()]
        bags = [encoded.bags[i] for i in self._multi.values()]
        if rows is not None:
            columns = [codes[rows] for codes in columns]
            bags = [take_bag(bag, rows) for bag in bags]
        for index, codes in enumerate([*columns, *(tokens for tokens, _ in bags)]):
            self._present[index] += len(codes) - np.count_nonzero(codes == MISSING)
            self._unseen[index] += np.count_nonzero(codes == UNSEEN)

    def shares(self) -> dict[str, float]:
        """Return the share of unseen values among the present ones, of fields that have any."""
        return {name: unseen / present for name, present, unseen in self._counted()}

    def notice(self, validation: Mapping[str, float]) -> str:
        """Return a sentence about the fields with far more unseen values than validation, or ''.

        Args:
            validation: What :meth:`shares` returned for validation; other fields are not judged.
        """
        texts = []
        for name, present, unseen in self._counted():
            base, share = validation.get(name), unseen / present
            if base is None or present < _FEWEST:
                continue
            error = math.sqrt(max(base * (1 - base), 0.01) / present)
            if share > base + max(_MARGIN, _ERRORS * error):
                texts.append(f"{name!r} {share:.0%} (validation {base:.0%})")
        if not texts:
            return ""
        more = f", and {len(texts) - _LISTED} more" if len(texts) > _LISTED else ""
        return (
            f"far more values are unseen than in validation: {', '.join(texts[:_LISTED])}{more}; "
            "check that these columns hold what they held in training, in the same spelling"
        )

    def _counted(self) -> list[tuple[str, int, int]]:
        names = [*self._coded, *self._multi]
        counts = zip(names, self._present.tolist(), self._unseen.tolist(), strict=True)
        return [(n, p, u) for n, p, u in counts if p]


def _with_vocabularies(layout: Layout, kind: FieldKind) -> dict[str, int]:
    """Return the fields of a kind that are not hashed, and their places among that kind."""
    return {f.name: i for i, f in enumerate(layout.of_kind(kind)) if not f.hashed}
