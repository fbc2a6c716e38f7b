"""Value gates: golden values, the exact path of the penalty, every model."""

import math

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from ctrkit.config.files import make_config
from ctrkit.config.published import published_gates
from ctrkit.models.build import build_model
from ctrkit.models.presets import PRESETS
from ctrkit.nn.gates.value import ValueGate, temperature
from ctrkit.nn.interactions.fm import FactorizationMachine
from ctrkit.testing.models import LAYOUT, sample_inputs
from ctrkit.train.optimizers.build import optimizer_kind


def gate_of(layout=LAYOUT, **settings):
    coded = [f for f in layout.fields if f.kind != "numeric"]
    sizes = [0 if f.hashed else f.rows for f in coded]
    return ValueGate(sizes, len(layout.of_kind("numeric")), **settings)


def model_of(name, gate=None, dim=4):
    model = build_model(make_config({"model": {"name": name, "dim": dim}}).model, LAYOUT, seed=2)
    model.gate = gate
    return model.eval()


@pytest.mark.parametrize(
    ("g", "tau", "expected"),
    [
        (0.5, 1, 1.0),
        (0, 1, 0.803265),
        (0.5, 10, 1.595778),
        (0.1, 10, 1.174468),
        (-0.1, 10, 0.432063),
        (0.05, 200, 1.606458),
        (-0.05, 200, 7.29e-5),
    ],
)
def test_gate_values(g, tau, expected):
    gate = ValueGate([4])
    gate.weight.data.fill_(g)
    gate.tau = tau
    assert gate(torch.tensor([[3]])).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("g", "tau", "expected"), [(0.0, 200, 80.3265), (0.5, 1, 0.377541)])
def test_gate_derivatives(g, tau, expected):
    gate = ValueGate([4])
    gate.weight.data.fill_(g)
    gate.tau = tau
    gate(torch.tensor([[3]])).sum().backward()
    assert gate.weight.grad[3].item() == pytest.approx(expected, rel=1e-5)


def test_temperature_schedules():
    release = [temperature("release", 5000, 0, 5, t) for t in range(5)]
    assert release == pytest.approx([1, 8.409, 70.711, 594.60, 5000], rel=1e-4)
    paper = [temperature("paper", 5000, 0, 5, t) for t in range(6)]
    assert paper == pytest.approx([1, 5.493, 30.171, 165.72, 910.28, 5000], rel=1e-4)
    steps = [temperature("step", 100, s, 3, 0) for s in range(4)]
    assert steps == pytest.approx([1, 10, 100, 100])
    assert temperature("release", 50, 0, 1, 0) == 50  # one epoch: no division by zero


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_model_starts_as_itself_and_obeys_the_temperature(name):
    inputs = sample_inputs(32)
    plain, gate = model_of(name), gate_of()
    gated = model_of(name, gate)
    with torch.inference_mode():
        expected = plain(*inputs)
        torch.testing.assert_close(gated(*inputs), expected, rtol=0, atol=1e-6)
        gate.tau = 10.0
        assert (gated(*inputs) - expected).abs().max() > 1e-3 * expected.abs().max()


def test_an_interaction_is_weighted_by_the_product_of_its_gates():
    """FM of e1 = (1,2), e2 = (3,-1), e3 = (0.5,0.5), gates (1, 0.5, 0)."""
    e = torch.tensor([[[1.0, 2.0], [3.0, -1.0], [0.5, 0.5]]])  # (1, 3, 2)
    gates = torch.tensor([[[1.0], [0.5], [0.0]]])  # (1, 3, 1)
    assert FactorizationMachine(3, 2)(e * gates).item() == pytest.approx(0.5)


def test_the_penalty_is_the_gradient_of_the_sum_over_all_values(monkeypatch):
    monkeypatch.setattr("ctrkit.nn.gates.value._CHUNK", 7)
    for fields in (False, True):
        gate = ValueGate([10, 0, 20], 2, penalty=0.3, fields=fields)
        gate.tau = 3.0
        torch.nn.init.normal_(gate.weight)
        if fields:
            torch.nn.init.normal_(gate.bias)
        g = gate.weight[:-1] + (gate.bias[gate.owners[:-1]] if fields else 0.0)
        wanted = torch.autograd.grad(0.3 * torch.sigmoid(g * 3.0).sum(), list(gate.parameters()))
        gate.regularise()
        for p, grad in zip(gate.parameters(), wanted, strict=True):
            rows = slice(None) if p is gate.bias else slice(0, -1)
            torch.testing.assert_close(p.grad[rows], grad[rows])


def test_the_cost_of_a_value_scales_its_penalty():
    gate = ValueGate([4], penalty=1.0)
    gate.cost = torch.tensor([[1.0], [1.0], [1.0], [5.0], [0.0]])
    gate.regularise()
    assert gate.weight.grad[3].item() == pytest.approx(5 * gate.weight.grad[0].item())


def drift(name, steps):
    """Train a gate that no row ever touches, as published; return it after each epoch."""
    found = published_gates(name)
    search = found["search"]
    gate = ValueGate(
        [3],
        epochs=search["epochs"],
        schedule="release",
        final=search["temperature"],
        penalty=search["penalty"][0],
        update="adam",
        lr=found["train"]["lr"],
        eps=1e-8,
    )
    kind = optimizer_kind(gate.optimizer.name, gate.optimizer.options)
    optimizer = kind.dense([{"params": [gate.weight]}], gate.optimizer.lr)
    after = []
    for epoch in range(search["epochs"]):
        gate.advance(0, 1, epoch)
        for _ in range(steps):
            optimizer.zero_grad()
            gate.regularise()
            optimizer.step()
        after.append(gate.weight[0].item())
    return after


PATHS = [
    ("criteo-fm", 8950, (0.378, 0.134, -0.318), -0.429),
    ("criteo-deepfm", 8950, (0.210, -0.203, -0.671), -1.013),
    ("criteo-ipnn", 8950, (0.210, -0.378, -0.675), -0.679),
    ("avazu-dcn", 7896, (0.392, 0.101, -0.092), -0.092),
    ("kdd12-fm", 29226, (0.461, 0.390, 0.288), -0.134),
    ("kdd12-dcn", 29226, (0.407, 0.169, -0.126), -0.126),
]


def check_path(name, steps, first, last):
    after = drift(name, steps)
    assert after[:3] == pytest.approx(first, abs=1e-3)
    assert after[-1] == pytest.approx(last, abs=1e-3)


def test_a_value_without_data_follows_the_published_path():
    """Golden values of a simulation with Adam, eps = 1e-8 ("OptFS" in docs/methods.md)."""
    check_path("criteo-dcn", 8950, (-0.029, -0.525, -0.525), -0.525)


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS, ids=[p[0] for p in PATHS])
def test_all_published_paths(path):
    check_path(*path)


def test_code_two_and_fields_without_vocabulary_have_no_gate():
    gate = ValueGate([5, 0, 5])
    gate.tau = 50.0
    gate.weight.data.fill_(-1.0)
    got = gate(torch.tensor([[2, 4_000_000, 3]]))[0, :, 0]
    assert got[:2].tolist() == [1.0, 1.0]
    assert got[2] < 1e-6


def test_gates_of_rows_learn_as_those_of_the_whole_vocabulary():
    """Row-wise gates get the data's gradient and the penalty, on touched values alone."""
    dense, sparse = ValueGate([8], penalty=0.1), ValueGate([8], penalty=0.1, most_dense=0)
    assert sparse.sparse
    codes = torch.tensor([[3], [4], [3]])
    dense.train()
    sparse.train()
    dense(codes).sum().backward()
    sparse(codes).sum().backward()
    dense.regularise()
    rows, leaf = sparse.touched[0]
    unique, place = rows.unique(return_inverse=True)
    grad = torch.zeros(len(unique), 1).index_add_(0, place, leaf.grad)
    sparse.penalise(unique, grad, 0.5)
    torch.testing.assert_close(grad, dense.weight.grad[unique])


def test_hard_gates_keep_what_is_kept_and_stop_learning():
    gate = ValueGate([5], 1)
    gate.keep(torch.tensor([True, False, False, True, False, True]))
    assert [m.tolist() for m in gate.derive()] == [[True, False, False, True, False], [True]]
    got = gate(torch.tensor([[0], [1], [3], [4]]))[:, 0, 0]
    assert got.tolist() == pytest.approx([gate.factor, 0, gate.factor, 0])
    assert gate.factor == pytest.approx(1.606531, abs=1e-6)
    assert not any(p.requires_grad for p in gate.parameters())


def test_a_field_gate_moves_all_values_of_its_field():
    gate = ValueGate([4, 4], fields=True)
    gate.bias.data[1] = -2.0
    kept = gate.derive()
    assert kept[0].all()
    assert not kept[1].any()


def worth_of(update, parts=1):
    """Return what a gate's gradient says a fitted value is worth: 600 of 1000 rows are positive."""
    gate = ValueGate([5], 0, update=update, lr=1.0)
    gate.start_batch(1000)
    label = torch.zeros(1000)
    label[torch.randperm(1000, generator=torch.Generator().manual_seed(0))[:600]] = 1.0
    for part in label.chunk(parts):
        logit = gate(torch.full((len(part), 1), 3)).reshape(-1) * math.log(0.6 / 0.4)
        (binary_cross_entropy_with_logits(logit, part, reduction="sum") / 1000).backward()
    return -gate.weight.grad[3].item() / 0.377541 * 1000  # the gate's derivative; in nats


@pytest.mark.parametrize("parts", [1, 4])
def test_descending_gates_feel_what_the_loss_would_be_without_the_value(parts):
    """A fitted vector has no slope, but 1000 (ln 2 - H(0.6)) = 20.1 nats are lost with it."""
    lost = 1000 * (math.log(2) + 0.6 * math.log(0.6) + 0.4 * math.log(0.4))
    assert lost == pytest.approx(20.1, abs=0.1)
    assert worth_of("descent", parts) == pytest.approx(lost, rel=0.03)
    assert worth_of("adam", parts) == pytest.approx(0, abs=0.01)


def test_a_gate_without_gradient_is_noticed():
    gate = ValueGate([4, 4], 1)
    gate.train()
    found = gate(torch.tensor([[3, 3], [0, 1]]))
    (found[:, 0].sum() + 0 * found[:, 1].sum()).backward()
    assert gate.learns.tolist() == [True, False, False]
    gate.of_numbers(2).sum().backward()
    assert gate.learns.tolist() == [True, False, True]
