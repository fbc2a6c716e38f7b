"""The configuration of ``ctrkit search pipeline``."""

from __future__ import annotations

from ctrkit.config.sections import RunConfig
from ctrkit.search.features.config import FeatureSearchConfig
from ctrkit.search.interactions.config import InteractionSearchConfig
from ctrkit.search.params.config import ParamsSearchConfig


class PipelineConfig(RunConfig):
    """One pipeline of searches: a training job, and the ``[search]`` of each step."""

    features: FeatureSearchConfig = FeatureSearchConfig()
    interactions: InteractionSearchConfig = InteractionSearchConfig()
    params: ParamsSearchConfig = ParamsSearchConfig()
