"""The table of searches."""

from __future__ import annotations

import inspect

import pytest

from ctrkit import jobs
from ctrkit.config.sections import RunConfig
from ctrkit.search.base import SearchJob
from ctrkit.search.kinds import KINDS


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_kind_has_a_configuration_a_job_and_a_verb(kind):
    assert issubclass(kind.config, RunConfig)
    assert issubclass(kind.job, SearchJob)
    assert kind.help.endswith(".")
    verb = getattr(jobs, f"search_{kind.name}")
    assert {"data", "out", "seeds", "controls", "force"} <= set(inspect.signature(verb).parameters)
