"""The learning rate of a step: warm-up, then a registered schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ctrkit.config.sections import TrainConfig
from ctrkit.registry import registry, schedule

_CUT = 0.1  # factor of the learning rate after an epoch without gain
_FLOOR = 1e-6  # the lowest learning rate that such cuts lead to


@dataclass(frozen=True)
class Course:
    """What a schedule may depend on.

    Attributes:
        done: Share of the planned steps after the warm-up that are finished, 0 to 1.
        plateaus: Epochs so far at whose end validation had not improved.
        lr: The learning rate of the configuration, which the factor applies to.
    """

    done: float
    plateaus: int
    lr: float


def learning_rate(config: TrainConfig, step: int, total: int, plateaus: int = 0) -> float:
    """Return the learning rate of a step (from 0) of ``total`` planned ones.

    It rises linearly over ``train.warmup_steps``, then follows ``train.schedule``.

    Args:
        config: How to train.
        step: Finished steps.
        total: Planned steps.
        plateaus: See :class:`Course`.
    """
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    done = min(1.0, (step - config.warmup_steps) / max(1, total - config.warmup_steps))
    course = Course(done, plateaus, config.lr)
    return config.lr * float(registry.get("schedule", config.schedule)(course))


@schedule("constant")
def constant(course: Course) -> float:
    """Keep the learning rate."""
    return 1.0


@schedule("linear")
def linear(course: Course) -> float:
    """Fall to zero in a straight line."""
    return 1 - course.done


@schedule("cosine", paper="arXiv:1608.03983")
def cosine(course: Course) -> float:
    """Fall to zero as half a cosine (Loshchilov and Hutter, eq. 5)."""
    return (1 + math.cos(math.pi * course.done)) / 2


@schedule("plateau")
def plateau(course: Course) -> float:
    """Fall to a tenth after each epoch without gain, down to a learning rate of 1e-6.

    As the runs of the BARS benchmark (Zhu et al., SIGIR 2022) have it.
    """
    return max(_CUT**course.plateaus, min(1.0, _FLOOR / course.lr))
