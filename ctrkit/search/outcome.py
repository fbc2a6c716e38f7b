"""What searches leave, as plain data: the runs they compare, the differences, the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, TypeAdapter

from ctrkit.runs.train import RunResult

FORMAT = 1


@dataclass(frozen=True)
class Scores:
    """Metrics of one split."""

    auc: float
    logloss: float


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A trained run as searches compare it; subclasses add what their search reports.

    Attributes:
        seed: Seed of the run.
        folder: The run folder, relative to the search folder.
        parameters: Number of allocated parameters.
        bytes: Size of the weights file.
        validation: Metrics of the validation rows.
        test: Metrics of the test rows.
    """

    seed: int
    folder: str
    parameters: int
    bytes: int
    validation: Scores
    test: Scores

    @classmethod
    def of(cls, run: RunResult, root: Path, **more: object) -> Self:
        """Return the outcome of a finished run.

        Args:
            run: The run.
            root: The search folder.
            **more: What the subclass adds.
        """
        record = run.record
        facts: dict[str, Any] = {
            "seed": record.seed,
            "folder": str(run.folder.relative_to(root)),
            "parameters": record.parameters["allocated"],
            "bytes": (run.folder / "model.safetensors").stat().st_size,
            **{
                split: Scores(record.metrics[split]["auc"], record.metrics[split]["logloss"])
                for split in ("validation", "test")
            },
            **more,
        }
        return cls(**facts)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the outcome that :meth:`to_json` wrote."""
        return TypeAdapter(cls).validate_python(data)

    def to_json(self) -> dict[str, Any]:
        """Return plain data; attributes that are None are left out."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: to_plain(value) for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class PairedDifference:
    """Our log loss less a control's on the same rows, with its 95 % interval.

    Attributes:
        difference: Mean difference; negative where ours is better.
        error: Standard error of the difference.
        p: Two-sided p-value.
        low: Lower end of the interval.
        high: Upper end of the interval.
    """

    difference: float
    error: float
    p: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class SearchRecord:
    """``record.json`` of a search; subclasses add what their search reports.

    Attributes:
        model: Name of the model that is searched.
        config_sha256: Identity of the search's configuration.
        rows: Outcomes by what was trained, the search's own first: one for each seed.
        paired: For each control, the differences on the test rows, seed by seed.
        warnings: Notices that the search logged.
    """

    kind: ClassVar[str]
    model: str
    config_sha256: str
    rows: Mapping[str, Sequence[Outcome]]
    paired: Mapping[str, Sequence[PairedDifference]]
    warnings: Sequence[str]

    @property
    def decision(self) -> str:
        """What the search decided, in a few words."""
        return ""

    @property
    def models(self) -> int:
        """How many models the search trained for its decision."""
        return 1

    @property
    def required(self) -> bool:
        """Whether the user asked for the result even if validation prefers the model before."""
        return False

    def to_json(self) -> dict[str, Any]:
        """Return what ``record.json`` holds."""
        data = {f.name: to_plain(getattr(self, f.name)) for f in fields(self)}
        return {"format": FORMAT, "kind": self.kind, **data}


def to_plain(value: object) -> Any:
    """Return a value as JSON holds it: dataclasses and configuration sections become tables."""
    if isinstance(value, Outcome):
        return value.to_json()
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value):
        return {f.name: to_plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {key: to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    return value
