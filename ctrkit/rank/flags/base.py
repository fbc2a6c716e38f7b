"""What a flag is: evidence that something is wrong with a column, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from ctrkit.rank.feature import Feature
from ctrkit.rank.result import Evidence
from ctrkit.rank.sampled import SampledRows
from ctrkit.rank.statistics import Scorer
from ctrkit.registry import registry

Drops = Literal["never", "alone", "always"]


class Flag:
    """A flag on a feature. Register a subclass by ``@register("flag", name)``.

    The rows of :mod:`ctrkit.components` are in the order of severity. Flags that compare features
    (noise, identical, redundant) have no :meth:`of_column`: the stage that compares sets them.

    Attributes:
        leaks: Whether a flagged feature may reveal the label, or may not be known when a model
            is used: ``train`` warns about these.
        warns: Whether the ranking warns about a flagged feature.
        drops: Whether the narrowed schema leaves the field out: never, always, or ``alone``:
            unless the field is a member of a cross with signal.
        phrase: What a flagged feature is, in warnings; empty: the name of the flag.
        covers: Flags whose warnings are needless beside that of this one.
        crossed: Whether a flagged feature may be a member of a cross.
    """

    leaks: ClassVar[bool] = False
    warns: ClassVar[bool] = True
    drops: ClassVar[Drops] = "never"
    crossed: ClassVar[bool] = True
    phrase: ClassVar[str] = ""
    covers: ClassVar[tuple[str, ...]] = ()

    def of_column(self, feature: Feature, scorer: Scorer) -> Evidence | None:
        """Return the evidence in one feature alone; None: the flag does not apply.

        Args:
            feature: Feature with its statistics, shape, missing rows and drift.
            scorer: Scorer against the label.
        """
        return None

    def of_rows(self, rows: SampledRows) -> Mapping[str, Evidence]:
        """Return field -> evidence in a sample of whole rows; fields without evidence are left out.

        Args:
            rows: Sampled rows with their labels, and the features as counted over all rows.
        """
        return {}

    def message(self, evidence: Evidence) -> str:
        """Return the evidence as one line of text: the sentence ``why``, then the figures."""
        figures = ", ".join(
            f"{k} {_text(v)}" for k, v in evidence.items() if k != "why" and v is not None
        )
        why = str(evidence.get("why", ""))
        return f"{why} ({figures})" if why and figures else why or figures


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return str(value)


def all_flags() -> dict[str, Flag]:
    """Return name -> flag, the most severe first."""
    return {name: registry.get("flag", name)() for name in registry.names("flag")}
