"""``[search]`` of ``ctrkit search features``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from ctrkit.config.published import published_gates
from ctrkit.config.sections import RunConfig, Section
from ctrkit.registry import Choices, Range


class FeatureSearchConfig(Section):
    """``[search]`` of ``ctrkit search features``: gates per value (OptFS)."""

    preset: str | None = None
    """Published settings, such as ``criteo-deepfm``: they replace the defaults, here and in
    ``[train]``."""
    epochs: int = Field(default=8, ge=1)
    """Of the search, T."""
    penalty: tuple[Annotated[float, Range(0.0, log=True, search=(0.5, 64.0))], ...] = (4.0, 8.0)
    """What a kept value costs; of several, validation chooses."""
    unit: Literal["nats", "loss"] = "nats"
    """``nats``: over all training rows, a value is kept if it is worth about that much; ``loss``:
    the paper's weight beside the mean loss of a batch."""
    target_ratio: tuple[Annotated[float, Field(gt=0, le=1)], ...] = ()
    """Shares of the values to keep, in place of penalties; of several, validation chooses."""
    temperature: Annotated[float, Range(1.0, log=True, search=(50.0, 5000.0))] = 1000.0
    """The last temperature, gamma."""
    schedule: Literal["step", "release", "paper"] = "step"
    update: Literal["descent", "adam"] = "descent"
    """How gates learn: by bounded steps along what a value is worth (ours) or Adam (the paper)."""
    gate_lr: float | None = Field(default=None, gt=0)
    """None: of ``descent``, from the penalty and the planned steps; of ``adam``, ``train.lr``."""
    eps: float = Field(default=1e-15, gt=0)
    """Adam's, for gates."""
    per: Literal["value", "occurrence"] = "value"
    """``occurrence``: the penalty of a value grows with its frequency."""
    rewind: Annotated[int, Range(0, search=(0, 1))] = 0
    """Retraining starts with the weights that the search had before this epoch."""
    init: Literal["rewind", "random"] = "rewind"
    field_gates: Annotated[bool, Choices(False, True)] = False
    """Whether fields have a gate of their own beside their values."""

    @field_validator("penalty", "target_ratio", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        one = isinstance(value, int | float) and not isinstance(value, bool)
        return (value,) if one else value

    @model_validator(mode="after")
    def _something_to_try(self) -> FeatureSearchConfig:
        if not self.penalty and not self.target_ratio:
            raise ValueError("search.penalty or search.target_ratio names at least one value")
        if self.rewind >= self.epochs:
            raise ValueError(
                f"search.rewind is an epoch of the search, below search.epochs = {self.epochs}"
            )
        return self


class FeaturesConfig(RunConfig):
    """One search for the values that earn their row: a training job and ``[search]``."""

    search: FeatureSearchConfig = FeatureSearchConfig()

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, data: Any) -> Any:
        search = data.get("search", {}) if isinstance(data, dict) else {}
        name = search.get("preset") if isinstance(search, dict) else None
        if not isinstance(name, str):
            return data
        filled = {k: {**v, **data.get(k, {})} for k, v in published_gates(name).items()}
        return {**data, **filled}
