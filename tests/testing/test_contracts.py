"""The contract suite passes what is sound and names what is not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from ctrkit.errors import CtrkitError
from ctrkit.registry import interaction, load_plugin, registry
from ctrkit.testing.contracts import check_interaction


@pytest.fixture
def temporary():
    """Forget what a test registers."""
    entries, components = dict(registry.entries), dict(registry.components)
    yield
    registry.entries, registry.components = entries, components


def failed(name: str) -> set[str]:
    return {verdict.name for verdict in check_interaction(name) if not verdict.ok}


def test_the_plug_in_of_the_tests_keeps_the_contract():
    load_plugin(Path(__file__).parents[1] / "plugins" / "my_cross.py")
    assert failed("my_cross") == set()


@pytest.mark.usefixtures("temporary")
def test_each_fault_is_found():
    @interaction("faulty")
    class Faulty(nn.Module):
        """Looks at other rows, is random, and leaves a parameter untouched."""

        def __init__(self, fields: int, dim: int) -> None:
            super().__init__()
            self.out_dim = dim
            self.idle = nn.Parameter(torch.zeros(1))

        def forward(self, x):
            return x.sum(1) + x.sum() + torch.rand(1)

    assert failed("faulty") >= {"gradients", "deterministic", "rows apart"}


@pytest.mark.usefixtures("temporary")
def test_a_wrong_width_is_a_verdict_not_a_crash():
    @interaction("narrow")
    class Narrow(nn.Module):
        """Says 5, gives D."""

        out_dim = 5

        def __init__(self, fields: int, dim: int) -> None:
            super().__init__()

        def forward(self, x):
            return x.sum(1)

    assert "shapes" in failed("narrow")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (None, "plug-in file .* does not exist"),
        ("x = 1\n", "registers nothing"),
        ("import nowhere_x\n", "failed on import"),
    ],
)
def test_a_bad_plug_in_is_one_line(tmp_path, text, word):
    path = tmp_path / "plugin.py"
    if text is not None:
        path.write_text(text)
    with pytest.raises(CtrkitError, match=word):
        load_plugin(path)
