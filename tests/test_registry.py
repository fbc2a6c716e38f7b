"""Names to components: what is shipped, typed parameters from a signature, taken names."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import ValidationError

from ctrkit.errors import ConfigError, UnknownNameError
from ctrkit.registry import Range, facts_of, parameters_of, registry


class Layer:
    """A component."""

    def __init__(self, fields: int, dim: int, *, rank: Annotated[int, Range(1, 64)] = 8) -> None:
        """Take facts and a hyper-parameter."""


def test_facts_are_positional_and_parameters_keyword_only():
    assert facts_of(Layer) == ["fields", "dim"]
    assert parameters_of(Layer, "layer")().model_dump() == {"rank": 8}


@pytest.mark.parametrize("values", [{"rank": 0}, {"rank": 65}, {"rnak": 8}, {"rank": "many"}])
def test_parameters_are_bounded_and_known(values):
    with pytest.raises(ValidationError):
        parameters_of(Layer, "layer")(**values)


def test_a_parameter_without_default_cannot_be_offered():
    class Bare:
        def __init__(self, *, rank: int) -> None: ...

    with pytest.raises(ConfigError, match="rank"):
        parameters_of(Bare, "bare")


@pytest.mark.parametrize("entry", list(registry), ids=lambda e: f"{e.kind}-{e.name}")
def test_every_shipped_entry_is_described_and_loads(entry):
    assert entry.summary
    if entry.kind != "model":
        assert registry.get(entry.kind, entry.name).__doc__


def test_an_unknown_name_names_the_nearest():
    with pytest.raises(UnknownNameError, match="did you mean 'attention'"):
        registry.get("interaction", "atention")


def test_a_taken_or_malformed_name_is_refused():
    with pytest.raises(ConfigError, match="already registered"):
        registry.add("interaction", "fm", Layer, "")
    with pytest.raises(ConfigError, match="lower-case"):
        registry.add("interaction", "My-Layer", Layer, "")
