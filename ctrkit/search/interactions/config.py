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
    """Published settings: they replace the defaults, here, in ``[train]`` and in ``[model]``."""
    epochs: int = Field(default=4, ge=1)
    """Of the search, at most; ``train.patience`` is of the retraining."""
    lr: float | None = Field(default=None, gt=0)
    """Of the weights in the search; None: ``train.lr``."""
    update: Literal["bilevel", "joint"] = "bilevel"
    """Whether operations learn from a tenth of the training rows that the weights never see, or
    from the same batches as the weights (the paper)."""
    worth: Literal["secant", "slope"] = "secant"
    """By what operations learn in a bilevel search: the loss between half a candidate's share and
    all of it, or its slope (the paper), which is flat once the layer above has scaled itself."""
    gate_lr: Annotated[float | None, Range(log=True, search=(1e-3, 1e-1))] = Field(
        default=None, gt=0
    )
    """Adam's, of the operations; None: 10 over the planned steps, at least 0.001."""
    slope: float | None = Field(default=None, gt=0)
    """What the temperature loses per step; None: it reaches 0.01 at 80 % of the planned steps."""
    warmup: Annotated[float, Range(search=(0.0, 0.4))] = Field(default=0.15, ge=0, lt=1)
    """Share of the planned steps in which weights alone learn, under even operations: a product
    needs some time before it is worth anything."""
    relaxation: Annotated[Literal["softmax", "gumbel"], Choices("softmax", "gumbel")] = "softmax"
    """Without noise (the paper's code) or with (the paper)."""
    start: Literal["even", "random"] = "even"
    """Operations start alike, or with Xavier noise (the paper's code)."""
    select: Literal["late", "best", "last"] = "late"
    """Whose operations are taken: of the best validation in the second half of the steps, when
    they have parted; of the best at all (the paper's code); of the end."""
    budget: int = Field(default=256_000_000, ge=1)
    """Bytes that memorized crosses may take, in the search and after it."""
    pairs: OptionalPath = None
    """Folder of a ranking: only the pairs that it found are searched, the rest are naive."""
    most_pairs: int = Field(default=60, ge=1)
    """How many of the ranking's pairs are searched."""


class InteractionsConfig(RunConfig):
    """One search for the pairs that earn their place: a training job and ``[search]``."""

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
