"""Row-wise Adam against dense Adam; L2, clipping, decay, the schedule."""

import pytest
import torch
from pydantic import ValidationError
from stand_ins import Table, Tiny

from ctrkit.config.sections import TrainConfig
from ctrkit.errors import ConfigError
from ctrkit.train import build_optimizers
from ctrkit.train.optimizers.descent import Descent
from ctrkit.train.schedule import learning_rate


def tables(**changes):
    torch.manual_seed(0)
    dense, sparse = Table(10, 3), Table(10, 3, sparse=True)
    sparse.weight.data.copy_(dense.weight.data)
    config = TrainConfig(**changes)
    return dense, sparse, build_optimizers(dense, config), build_optimizers(sparse, config)


@pytest.mark.parametrize("changes", [{}, {"l2": 0.1}, {"clip_norm": 0.5}])
def test_row_wise_adam_is_adam_when_all_rows_are_touched(changes):
    dense, sparse, one, two = tables(**changes)
    codes, target = torch.cat([torch.arange(10), torch.arange(5)]), torch.randn(15, 3)
    for _ in range(20):
        for table, optimizers in ((dense, one), (sparse, two)):
            optimizers.zero_grad()
            ((table(codes) - target) ** 2).sum().backward()
            optimizers.step(0.01)
    torch.testing.assert_close(dense.weight, sparse.weight, rtol=0, atol=1e-6, check_stride=False)
    assert sparse.weight[2].abs().sum() == 0


def test_untouched_rows_do_not_move():
    _, table, _, optimizers = tables(l2=0.1)
    before = table.weight.clone()
    for codes in ([1, 3, 3], [3]):
        table(torch.tensor(codes)).sum().backward()
        optimizers.step(0.01)
    moved = (table.weight != before).any(1).nonzero().flatten().tolist()
    assert moved == [1, 3]
    assert table.touched == []


def test_l2_of_dense_tables_falls_on_touched_rows_or_on_all():
    for rows, want in (("touched", [1, 3]), ("all", [0, 1, 3, 4, 5, 6, 7, 8, 9])):
        dense, _, _, _ = tables()
        optimizers = build_optimizers(dense, TrainConfig(l2=0.1, l2_rows=rows))
        before = dense.weight.clone()
        dense(torch.tensor([1, 3, 2])).sum().backward()
        optimizers.step(0.01)
        assert (dense.weight != before).any(1).nonzero().flatten().tolist() == want
    with pytest.raises(ConfigError, match="row-wise"):
        build_optimizers(Tiny(sparse=True), TrainConfig(l2=0.1, l2_rows="all"))


def test_decay_falls_on_matrices_of_the_network_alone():
    model = Tiny()
    optimizers = build_optimizers(model, TrainConfig(weight_decay=0.5))
    before = {k: v.clone() for k, v in model.named_parameters()}
    for p in model.parameters():
        p.grad = torch.zeros_like(p)
    optimizers.step(0.1)
    for name, value in model.named_parameters():
        factor = 0.95 if name in ("net.0.weight", "net.3.weight") else 1.0
        torch.testing.assert_close(value, before[name] * factor)


def test_schedule():
    flat, line, wave = (
        TrainConfig(lr=1, warmup_steps=4, schedule=s) for s in ("constant", "linear", "cosine")
    )
    assert [learning_rate(flat, s, 10) for s in range(5)] == [0.25, 0.5, 0.75, 1, 1]
    assert [learning_rate(line, s, 8) for s in (4, 6, 8)] == [1, 0.5, 0]
    assert learning_rate(wave, 6, 8) == pytest.approx(0.5)


def test_plateau_cuts_to_a_tenth_down_to_its_floor():
    plateau = TrainConfig(lr=1e-3, warmup_steps=2, schedule="plateau")
    rates = [learning_rate(plateau, 5, 10, plateaus) for plateaus in range(6)]
    assert rates == pytest.approx([1e-3, 1e-4, 1e-5, 1e-6, 1e-6, 1e-6])
    low = TrainConfig(lr=1e-7, schedule="plateau")
    assert learning_rate(low, 5, 10, 3) == pytest.approx(1e-7)  # the floor raises no rate


def test_descent_is_plain_and_bounded():
    p = torch.nn.Parameter(torch.zeros(3))
    p.grad = torch.tensor([0.1, -100.0, 0.0])
    Descent(most=0.05).dense([{"params": [p]}], lr=0.1).step()
    assert p.tolist() == pytest.approx([-0.01, 0.05, 0.0])


def test_an_unknown_optimizer_or_schedule_names_the_nearest():
    for values, word in (({"optimizer": "adm"}, "adam"), ({"schedule": "cosin"}, "cosine")):
        with pytest.raises(ValidationError, match=f"did you mean '{word}'"):
            TrainConfig(**values)


def test_an_optimizer_is_refused_what_it_cannot_do():
    with pytest.raises(ConfigError, match="weight_decay must be 0"):
        build_optimizers(Tiny(), TrainConfig(optimizer="descent", weight_decay=0.1))


def test_the_optimizer_is_the_configured_one():
    model = Tiny(sparse=True)
    optimizers = build_optimizers(model, TrainConfig(optimizer="descent"))
    assert [type(o).__name__ for o in optimizers.dense] == ["BoundedDescent"]
    assert [type(r.optimizer).__name__ for r in optimizers.sparse.values()] == ["RowwiseDescent"]
