"""``[search]`` of ``ctrkit search interactions``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ctrkit.config.published import published_pairs
from ctrkit.config.sections import OptionalPath, RunConfig, Section
from ctrkit.registry import Choices, Range


class InteractionSearchConfig(Section):
    """``[search]`` of ``ctrkit search interactions``: an operation for each pair (OptInter)."""

    preset: Literal["criteo", "avazu"] | None = None
    """Published hyper-parameters, which replace the defaults here, in ``[train]`` and in
    ``[model]``."""
    epochs: int = Field(default=4, ge=1)
    """Most epochs of the search. ``train.patience`` applies to retraining, and to the search if
    ``select`` is ``best``."""
    lr: float | None = Field(default=None, gt=0)
    """Learning rate of the weights in the search; None: ``train.lr``."""
    update: Literal["bilevel", "joint"] = "bilevel"
    """What operations learn from. ``bilevel``: 10 % of the training rows, which the weights never
    see; ``joint``: the same batches as the weights (the paper)."""
    worth: Literal["secant", "slope"] = "secant"
    """What a candidate is worth in a bilevel search. ``secant``: the change of the loss from half
    of the candidate's share to all of it; ``slope``: the derivative (the paper), which vanishes
    once the layer above has adapted its scale."""
    gate_lr: Annotated[float | None, Range(log=True, search=(1e-3, 1e-1))] = Field(
        default=None, gt=0
    )
    """Adam's learning rate for the operations; None: 10 / planned steps, at least 0.001."""
    slope: float | None = Field(default=None, gt=0)
    """By how much the temperature falls per step; None: it reaches 0.01 after 80 % of the planned
    steps."""
    warmup: Annotated[float, Range(search=(0.0, 0.4))] = Field(default=0.15, ge=0, lt=1)
    """Share of the planned steps in which only the weights learn, with equal shares of all
    operations: a product is worth nothing at first."""
    relaxation: Annotated[Literal["softmax", "gumbel"], Choices("softmax", "gumbel")] = "softmax"
    """Relaxation of the choice, without noise (the paper's code) or with Gumbel noise (the
    paper)."""
    start: Literal["even", "random"] = "even"
    """Initial operations: equal shares, or Xavier noise (the paper's code)."""
    select: Literal["late", "best", "last"] = "late"
    """Which operations are used. ``late``: those of the best evaluation in the second half of the
    steps; ``best``: those of the best evaluation (the paper's code); ``last``: those at the
    end."""
    budget: int = Field(default=256_000_000, ge=1)
    """Bytes that memorized crosses may take, in the search and in retraining."""
    pairs: OptionalPath = None
    """Folder of a ranking; only its pairs are searched, all others are naive. None: all pairs are
    searched."""
    most_pairs: int = Field(default=60, ge=1)
    """How many of the ranking's best pairs are searched."""


class InteractionsConfig(RunConfig):
    """One search over pairs of fields: a training job and ``[search]``."""

    search: InteractionSearchConfig = InteractionSearchConfig()

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, data: Any) -> Any:
        search = data.get("search", {}) if isinstance(data, dict) else {}
        name = search.get("preset") if isinstance(search, dict) else None
        if name not in ("criteo", "avazu"):
            return data
        filled = {k: {**v, **data.get(k, {})} for k, v in published_pairs(name).items()}
        return {**data, **filled}
