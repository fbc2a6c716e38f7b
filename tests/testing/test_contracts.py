"""Contract suites: every shipped component passes, and each fault has its verdict."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from ctrkit import jobs
from ctrkit.config.files import make_config
from ctrkit.config.sections import ModelConfig
from ctrkit.errors import ConfigError, CtrkitError
from ctrkit.models.build import build_model
from ctrkit.nn.tables.base import CodedField
from ctrkit.nn.tables.stacked import StackedTable
from ctrkit.registry import (
    head,
    interaction,
    load_plugin,
    optimizer,
    registry,
    schedule,
    table,
)
from ctrkit.testing import (
    check_head,
    check_interaction,
    check_optimizer,
    check_schedule,
    check_table,
)
from ctrkit.testing.models import LAYOUT, sample_inputs
from ctrkit.train import build_optimizers
from ctrkit.train.optimizers import OptimizerKind, RowOptimizer
from ctrkit.train.schedule import learning_rate

PLUGINS = Path(__file__).parents[1] / "plugins"


def failed(verdicts) -> set[str]:
    return {verdict.name for verdict in verdicts if not verdict.ok}


SUITES = {
    "interaction": check_interaction,
    "head": check_head,
    "table": check_table,
    "optimizer": check_optimizer,
    "schedule": check_schedule,
}
SHIPPED = [(entry.kind, entry.name) for entry in registry if entry.kind in SUITES]


@pytest.mark.parametrize(("kind", "name"), SHIPPED)
def test_every_shipped_component_keeps_its_contract(kind, name):
    verdicts = SUITES[kind](name)
    assert verdicts
    assert [v for v in verdicts if not v.ok] == []


def test_the_plug_in_of_the_tests_keeps_the_contract():
    load_plugin(PLUGINS / "my_cross.py")
    assert failed(check_interaction("my_cross")) == set()


@pytest.mark.usefixtures("temporary")
def test_a_plug_in_of_several_kinds_is_checked_by_the_suite_of_each():
    verdicts = jobs.check(PLUGINS / "many_kinds.py")
    assert failed(verdicts) == set()
    assert {v.component for v in verdicts} == {"max_head", "mirror", "plain_sgd", "square_root"}


@pytest.mark.usefixtures("temporary")
def test_a_plug_in_of_several_kinds_trains():
    load_plugin(PLUGINS / "many_kinds.py")
    config = make_config(
        {
            "model": {"name": "deepfm", "head": "max_head", "table": "mirror"},
            "train": {"optimizer": "plain_sgd", "schedule": "square_root"},
        }
    )
    model = build_model(config.model, LAYOUT)
    optimizers = build_optimizers(model, config.train)
    model(*sample_inputs(7)).sum().backward()
    optimizers.step(learning_rate(config.train, 1, 4))
    assert type(optimizers.dense[0]) is torch.optim.SGD


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

    assert failed(check_interaction("faulty")) >= {"gradients", "deterministic", "rows apart"}


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

    assert "shapes" in failed(check_interaction("narrow"))


@pytest.mark.usefixtures("temporary")
@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({}, r"must set self\.out_dim"),
        ({"out_dim": -1}, "must be an integer >= 0; got -1"),
        ({"out_dim": 1, "reads": "wights"}, "did you mean 'weights'"),
        ({"out_dim": 1, "reads": ("crosses",)}, r"must set self\.crossed"),
    ],
)
def test_a_broken_declaration_is_one_line(attributes, message):
    @interaction("undeclared")
    class Undeclared(nn.Module):
        """Sets what the test says."""

        def __init__(self, fields: int, dim: int) -> None:
            super().__init__()
            for name, value in attributes.items():
                setattr(self, name, value)

    (first, *_) = check_interaction("undeclared")
    assert not first.ok
    with pytest.raises(ConfigError, match=message):
        build_model(ModelConfig(name="undeclared"), LAYOUT)


@pytest.mark.usefixtures("temporary")
def test_an_unknown_fact_is_one_line():
    @interaction("greedy")
    class Greedy(nn.Module):
        """Wants a fact that there is not."""

        def __init__(self, fields: int, rank: int) -> None:
            super().__init__()

    with pytest.raises(ConfigError, match=r"must be of fields, dim.*got 'rank'.*keyword-only"):
        build_model(ModelConfig(name="greedy"), LAYOUT)


@pytest.mark.usefixtures("temporary")
def test_faults_of_a_head_are_found():
    @head("first")
    class First(nn.Module):
        """Ignores all branches but the first, and forgets to drop the last axis."""

        def __init__(self, widths: list[int]) -> None:
            super().__init__()

        def forward(self, branches):
            return branches[0]

    assert failed(check_head("first")) >= {"shapes", "gradients", "branches"}


@pytest.mark.usefixtures("temporary")
def test_faults_of_a_table_are_found():
    @table("shifted")
    class Shifted(StackedTable):
        """Gives code 2 a row like any other, and lets the neighbours decide."""

        def __init__(self, coded: list[CodedField], dim: int, std: float) -> None:
            super().__init__(coded, [5] * len(coded), dim, std=std)

        def row_of(self, codes, fields=slice(None)):
            return codes % 5 + codes.shape[1]

    assert failed(check_table("shifted")) >= {"slices", "dropped code", "row-wise"}


@pytest.mark.usefixtures("temporary")
def test_a_table_of_another_base_is_refused():
    @table("bare")
    class Bare(nn.Module):
        """A table that is none."""

        def __init__(self, dim: int) -> None:
            super().__init__()

    with pytest.raises(ConfigError, match="must be a subclass of"):
        build_model(ModelConfig(name="fm", table="bare"), LAYOUT)


@pytest.mark.usefixtures("temporary")
def test_faults_of_an_optimizer_are_found():
    @optimizer("ascent", can=("weight_decay", "rowwise"))
    class Ascent(OptimizerKind):
        """Goes uphill, has no decay, and moves every row."""

        def dense(self, groups, lr):
            return torch.optim.SGD(groups, lr, maximize=True, weight_decay=0.0)

        def of_rows(self, table):
            return EveryRow(table)

    class EveryRow(RowOptimizer):
        def update(self, rows, grad, lr):
            self.table.weight += lr * torch.rand(())

        def state_dict(self):
            return {}

        def load_state_dict(self, state):
            return

    assert failed(check_optimizer("ascent")) >= {"learns", "touched rows", "rows equal dense"}


@pytest.mark.usefixtures("temporary")
def test_faults_of_a_schedule_are_found():
    @schedule("sinking")
    def sinking(done: float) -> float:
        """Fall below zero."""
        return 0.5 - done

    assert failed(check_schedule("sinking")) == {"factors"}


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
