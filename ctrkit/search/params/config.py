"""``[search]`` of ``ctrkit search params``."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from ctrkit.config.sections import RunConfig, Section


class ParamsSearchConfig(Section):
    """``[search]`` of ``ctrkit search params``: trials drawn by Optuna."""

    over: Literal["params", "features", "interactions"] = "params"
    """What a trial is: one training, or one search of another kind whose knobs are drawn."""
    trials: int = Field(default=50, ge=1)
    """Trials in all, resumed or side by side; one that a dead worker left counts once."""
    timeout: float | None = Field(default=None, gt=0)
    """Seconds, over all resumes, after which no trial begins."""
    objectives: tuple[Literal["logloss", "auc", "bytes", "latency"], ...] = ("logloss",)
    """On validation rows; bytes of the weights; milliseconds for 256 raw rows. Several: a Pareto
    set, whose member with the best first objective is the winner."""
    sampler: Literal["tpe", "random", "gp", "nsgaii", "qmc"] = "tpe"
    pruner: Literal["auto", "median", "hyperband", "halving", "none"] = "auto"
    """What stops a trial within its epochs; ``auto``: median, or none for several objectives."""
    startup_trials: int = Field(default=10, ge=1)
    """Random trials before the sampler learns."""
    prune_after: int = Field(default=5, ge=1)
    """Finished trials before the median pruner stops any."""
    warmup: int = Field(default=1, ge=0)
    """Evaluations that every trial gets."""
    jobs: int = Field(default=1, ge=1)
    """Worker processes."""
    threads: int = Field(default=0, ge=0)
    """Of each worker; 0: the cores divided by ``jobs``."""
    storage: str | None = None
    """Optuna's database, such as ``postgresql+psycopg://...``; None: ``CTRKIT_SEARCH_STORAGE``,
    else a journal file in the search folder."""
    study: str | None = None
    """Name in the database; None: made of the configuration."""
    retries: int = Field(default=2, ge=0)
    """How often a trial is tried again whose worker died."""
    heartbeat: int = Field(default=60, ge=1)
    """Seconds between signs of life of a trial in a database."""
    grace: int = Field(default=180, ge=2)
    """Seconds of silence after which it counts as dead."""
    keep: Literal["best", "all"] = "best"
    """Weights and predictions that stay below ``trials/``: of the best, or of all."""
    interactions: tuple[str, ...] = ()
    """A pool of interaction layers, each in or out, in place of the model's branches."""
    free: bool = False
    """Whether what the configuration sets explicitly is searched all the same."""
    derive: bool = True
    """Whether the space comes from the bounds of the components; else ``space`` alone."""
    space: dict[str, Any] = Field(default_factory=dict)
    """``"section.key"`` -> ``{low, high, log, step}``, a list of choices, or false (not searched);
    it overrides what is derived."""
    inner: dict[str, Any] = Field(default_factory=dict)
    """``[search]`` of the searches that are tried, where ``over`` is not ``params``."""

    @model_validator(mode="after")
    def _consistent(self) -> ParamsSearchConfig:
        if not self.objectives or len(set(self.objectives)) < len(self.objectives):
            raise ValueError("search.objectives names at least one, each once")
        if len(self.objectives) > 1 and self.pruner not in ("auto", "none"):
            raise ValueError("search.pruner with several objectives is none: Optuna prunes by one")
        if self.grace <= self.heartbeat:
            raise ValueError("search.grace is longer than search.heartbeat")
        return self


class ParamsConfig(RunConfig):
    """One search for settings: a training job and ``[search]``."""

    search: ParamsSearchConfig = ParamsSearchConfig()
