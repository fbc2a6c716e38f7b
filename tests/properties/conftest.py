"""What the property tests share: a profile of hypothesis, and silence."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "ctrkit",
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
settings.load_profile("ctrkit")


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """Log no warnings: there would be thousands."""
    logger = logging.getLogger("ctrkit")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)
