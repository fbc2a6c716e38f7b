"""What a pipeline leaves, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ctrkit.search.outcome import Outcome, PairedDifference, SearchRecord

OURS = "pipeline"
PLAIN = "plain"
BEFORE = "before"
"""Names of rows in the record: the pipeline, the plain model, and the model as configured."""


@dataclass(frozen=True, kw_only=True)
class StepOutcome(Outcome):
    """A finished step; ``steps/NAME.json`` keeps it.

    Attributes:
        step: Name of the step.
        models: How many models it trained.
        seconds: Time that it took, over all resumes.
        said: What it decided.
        must: Whether its result is used even if validation prefers the model before.
        file: The ``run.toml`` of its result, relative to the search folder.
        taken: Whether its result was used; None for what is compared alone.
    """

    step: str
    models: int
    seconds: float
    said: str
    must: bool
    file: str
    taken: bool | None = None

    @property
    def used(self) -> bool:
        """Whether later steps start from its result."""
        return self.taken is not False


@dataclass(frozen=True, kw_only=True)
class PipelineRecord(SearchRecord):
    """``record.json`` of a pipeline.

    Attributes:
        steps: The model as configured, each step, and the plain model if it was tuned.
        against_before: Each step's difference to the model as configured, on the test rows.
        rows: The pipeline's model and the plain model, one for each seed.
    """

    kind: ClassVar[str] = "pipeline"
    steps: Sequence[StepOutcome]
    against_before: Mapping[str, PairedDifference]
