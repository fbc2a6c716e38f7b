"""Optimisers, one kind per file, and what steps all of a model's optimisers as one."""

from ctrkit.train.optimizers.base import OptimizerKind, RowOptimizer
from ctrkit.train.optimizers.build import Optimizers, build_optimizers

__all__ = ["OptimizerKind", "Optimizers", "RowOptimizer", "build_optimizers"]
