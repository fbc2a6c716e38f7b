"""The learning rate as a function of the step alone: warm-up, then a registered schedule."""

from __future__ import annotations

import math

from ctrkit.config.sections import TrainConfig
from ctrkit.registry import registry, schedule


def learning_rate(config: TrainConfig, step: int, total: int) -> float:
    """Return the learning rate of a step (from 0) of ``total`` planned ones.

    It rises linearly over ``train.warmup_steps``, then follows ``train.schedule``.
    """
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    done = min(1.0, (step - config.warmup_steps) / max(1, total - config.warmup_steps))
    return config.lr * float(registry.get("schedule", config.schedule)(done))


@schedule("constant")
def constant(done: float) -> float:
    """Keep the learning rate."""
    return 1.0


@schedule("linear")
def linear(done: float) -> float:
    """Fall to zero in a straight line."""
    return 1 - done


@schedule("cosine", paper="arXiv:1608.03983")
def cosine(done: float) -> float:
    """Fall to zero as half a cosine (Loshchilov and Hutter, eq. 5)."""
    return (1 + math.cos(math.pi * done)) / 2
