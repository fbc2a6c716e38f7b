"""``[search]`` of ``ctrkit search features``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from ctrkit.config.published import published_gates
from ctrkit.config.sections import RunConfig, Section
from ctrkit.registry import Choices, Range


class FeatureSearchConfig(Section):
    """``[search]`` of ``ctrkit search features``: a gate for each feature value (OptFS)."""

    preset: str | None = None
    """Name of published hyper-parameters, such as ``criteo-deepfm``; they replace the defaults here
    and in ``[train]``."""
    epochs: int = Field(default=8, ge=1)
    """Epochs of the search, T."""
    penalty: tuple[Annotated[float, Range(0.0, log=True, search=(0.5, 64.0))], ...] = (4.0, 8.0)
    """Penalty of a kept value; of several, validation chooses."""
    unit: Literal["nats", "loss"] = "nats"
    """Unit of ``penalty``. ``nats``: a value is kept if it reduces the log loss, summed over all
    training rows, by about that much; ``loss``: the paper's weight relative to the mean loss of a
    batch."""
    target_ratio: tuple[Annotated[float, Field(gt=0, le=1)], ...] = ()
    """Shares of the values to keep, in place of penalties; of several, validation chooses."""
    temperature: Annotated[float, Range(1.0, log=True, search=(50.0, 5000.0))] = 1000.0
    """Temperature at the end of the search, gamma."""
    schedule: Literal["step", "release", "paper"] = "step"
    """How the temperature rises: with every step, or with every epoch as in the paper's code
    (``release``) or text (``paper``)."""
    update: Literal["descent", "adam"] = "descent"
    """How gates learn: ``descent``, bounded steps in the direction of what a value is worth (ours);
    or ``adam`` (the paper)."""
    gate_lr: float | None = Field(default=None, gt=0)
    """Learning rate of the gates; None: derived from the penalty and the planned steps for
    ``descent``, ``train.lr`` for ``adam``."""
    eps: float = Field(default=1e-15, gt=0)
    """Epsilon of Adam for the gates."""
    per: Literal["value", "occurrence"] = "value"
    """What has the same penalty: every value, or every occurrence of a value, so that the penalty
    grows with its frequency."""
    rewind: Annotated[int, Range(0, search=(0, 1))] = 0
    """Epoch of the search; retraining starts with the weights from before it."""
    init: Literal["rewind", "random"] = "rewind"
    """Initial weights of retraining: those of the ``rewind`` epoch, or random ones."""
    field_gates: Annotated[bool, Choices(False, True)] = False
    """Whether fields have a gate too, in addition to the gates of their values."""

    @field_validator("penalty", "target_ratio", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return (value,) if number else value

    @model_validator(mode="after")
    def _something_to_try(self) -> FeatureSearchConfig:
        if not self.penalty and not self.target_ratio:
            raise ValueError("search.penalty or search.target_ratio must have at least one value")
        if self.rewind >= self.epochs:
            raise ValueError(
                f"search.rewind must be below search.epochs = {self.epochs}; got {self.rewind}"
            )
        return self


class FeaturesConfig(RunConfig):
    """One search for feature values: a training job and ``[search]``."""

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
