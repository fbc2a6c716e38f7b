"""``[search]`` of ``ctrkit search params``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from ctrkit.config.sections import Redacted, RunConfig, Section, registered


class ParamsSearchConfig(Section):
    """``[search]`` of ``ctrkit search params``: trials drawn by Optuna."""

    over: str = "params"
    """What a trial is: ``params``: one training; ``features`` or ``interactions``: one search of
    that kind, whose hyper-parameters are drawn, too."""
    trials: int = Field(default=50, ge=1)
    """Number of trials over all resumes and processes; a retried trial counts once."""
    timeout: float | None = Field(default=None, gt=0)
    """Seconds, over all resumes, after which no trial begins."""
    objectives: tuple[Literal["logloss", "auc", "bytes", "latency"], ...] = ("logloss",)
    """Log loss or AUC on the validation rows, bytes of the weights, milliseconds to score 256 raw
    rows. Several give a Pareto set, whose best member by the first objective is the winner."""
    sampler: Annotated[str, registered("sampler")] = "tpe"
    """Optuna's sampler: see ``ctrkit list samplers``."""
    pruner: Annotated[str, registered("pruner")] = "auto"
    """Prunes unpromising trials mid-training; ``auto``: median, or none for several objectives."""
    startup_trials: int = Field(default=10, ge=1)
    """Random trials before the sampler learns from earlier ones."""
    prune_after: int = Field(default=5, ge=1)
    """Finished trials before the median pruner prunes any."""
    warmup: int = Field(default=1, ge=0)
    """Evaluations of each trial before it may be pruned."""
    jobs: int = Field(default=1, ge=1)
    """Worker processes."""
    threads: int = Field(default=0, ge=0)
    """CPU threads of each worker; 0: the cores divided by ``jobs``."""
    storage: Annotated[str | None, Redacted] = None
    """Optuna's database, such as ``postgresql+psycopg://...``; None: ``CTRKIT_SEARCH_STORAGE``,
    else a journal file in the search folder."""
    study: str | None = None
    """Name of the study in the database; None: derived from the configuration."""
    retries: int = Field(default=2, ge=0)
    """Times that a trial is retried after its worker died while its command went on. A trial that
    was killed with its command is retried whenever the command is run again."""
    heartbeat: int = Field(default=60, ge=1)
    """Seconds between the heartbeats of a trial in a database."""
    grace: int = Field(default=180, ge=2)
    """Seconds without a heartbeat after which a trial's worker counts as dead."""
    keep: Literal["best", "all"] = "best"
    """Trials that keep their weights and predictions below ``trials/``."""
    interactions: tuple[str, ...] = ()
    """A pool of interaction layers, each used or not, in place of the model's branches."""
    free: bool = False
    """Whether hyper-parameters that the configuration sets explicitly are searched, too."""
    derive: bool = True
    """Whether the space is derived from the bounds of fields and components; else it is ``space``
    alone."""
    space: dict[str, Any] = Field(default_factory=dict)
    """``"section.key"`` -> ``{low, high, log, step}``, a list of choices, or false (not searched);
    overrides the derived space."""
    inner: dict[str, Any] = Field(default_factory=dict)
    """``[search]`` of the search that is a trial, if ``over`` is not ``params``."""

    @model_validator(mode="after")
    def _consistent(self) -> ParamsSearchConfig:
        if not self.objectives or len(set(self.objectives)) < len(self.objectives):
            raise ValueError("search.objectives must name at least one objective, each once")
        if len(self.objectives) > 1 and self.pruner not in ("auto", "none"):
            raise ValueError(
                "search.pruner must be none with several objectives: Optuna prunes by one"
            )
        if self.grace <= self.heartbeat:
            raise ValueError("search.grace must be longer than search.heartbeat")
        return self


class ParamsConfig(RunConfig):
    """One search for hyper-parameters: a training job and ``[search]``."""

    search: ParamsSearchConfig = ParamsSearchConfig()
