"""``ctrkit search``: feature values, interactions, hyper-parameters, or a pipeline."""

from __future__ import annotations

from ctrkit.search.features.job import search_features
from ctrkit.search.interactions.job import search_interactions
from ctrkit.search.params.job import search_params
from ctrkit.search.pipeline.job import search_pipeline

__all__ = ["search_features", "search_interactions", "search_params", "search_pipeline"]
