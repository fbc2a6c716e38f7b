"""The learning rate as a function of the step alone."""

from __future__ import annotations

import math

from ctrkit.config.sections import TrainConfig


def learning_rate(config: TrainConfig, step: int, total: int) -> float:
    """Return the rate of a step (from 0) of ``total`` planned ones: warm-up, then the fall."""
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    done = min(1.0, (step - config.warmup_steps) / max(1, total - config.warmup_steps))
    if config.schedule == "linear":
        return config.lr * (1 - done)
    if config.schedule == "cosine":
        return config.lr * (1 + math.cos(math.pi * done)) / 2
    return config.lr
