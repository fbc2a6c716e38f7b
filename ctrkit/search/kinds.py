"""The kinds of search: one folder and one row each.

The rows hold names, so that listing the kinds imports no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from ctrkit.config.sections import RunConfig
    from ctrkit.search.base import SearchJob


@dataclass(frozen=True)
class SearchKind:
    """One kind of search.

    Attributes:
        name: Name of the command and of the package.
        config_name: Its type of configuration, in ``config.py`` of the package.
        job_name: Its class, in ``job.py`` of the package.
        help: What it does, in one line.
        model: The model that is searched where the user names none; None: that of ``[model]``.
    """

    name: str
    config_name: str
    job_name: str
    help: str
    model: str | None = None

    @property
    def config(self) -> type[RunConfig]:
        """The type of its configuration: a training job and ``[search]``."""
        return cast("type[RunConfig]", self._import("config", self.config_name))

    @property
    def job(self) -> type[SearchJob]:
        """The class that runs it."""
        return cast("type[SearchJob]", self._import("job", self.job_name))

    def _import(self, module: str, name: str) -> object:
        return getattr(import_module(f"ctrkit.search.{self.name}.{module}"), name)


KINDS = {
    kind.name: kind
    for kind in (
        SearchKind(
            "features",
            "FeaturesConfig",
            "FeatureSearch",
            "Select the feature values worth keeping (OptFS).",
        ),
        SearchKind(
            "interactions",
            "InteractionsConfig",
            "InteractionSearch",
            "Choose how to model each pair of fields (OptInter).",
            model="optinter",
        ),
        SearchKind(
            "params",
            "ParamsConfig",
            "ParamsJob",
            "Tune hyper-parameters with Optuna.",
        ),
        SearchKind(
            "pipeline",
            "PipelineConfig",
            "Pipeline",
            "Rank, select values, choose interactions, tune and train.",
        ),
    )
}
"""Name -> kind, in the order in which the command line lists them."""
