"""OptInter's gate, its crosses and its branch: published values, brute force, special cases."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

from ctrkit.config.files import make_config
from ctrkit.data.hashing import pair_salt
from ctrkit.layout import Layout, LayoutField
from ctrkit.models.build import build_model
from ctrkit.nn.crosses import Buckets, CrossTable
from ctrkit.nn.gates.pair import PairGate
from ctrkit.nn.interactions.pairs import UNDECIDED, Pairs
from ctrkit.schema import DROPPED
from ctrkit.testing.models import LAYOUT, check_model, sample_inputs

ALPHA = torch.tensor([[0.3, 0.1, -0.2]])


def gate_of(alpha: torch.Tensor, **options) -> PairGate:
    gate = PairGate(len(alpha), **options)
    with torch.no_grad():
        gate.weight.copy_(alpha)
    return gate


@pytest.mark.parametrize(
    ("tau", "expected"),
    [
        (1.0, (0.412327, 0.337585, 0.250089)),
        (0.5, (0.490629, 0.328879, 0.180492)),
        (0.1, (0.875601, 0.118500, 0.005900)),
        (0.01, (1.0, 0.0, 0.0)),
    ],
)
def test_relaxation_has_the_published_values(tau, expected):
    gate = gate_of(ALPHA)
    gate.tau = tau
    torch.testing.assert_close(gate()[0], torch.tensor(expected), atol=1e-6, rtol=0)


def test_gumbel_adds_its_noise_in_training_alone():
    gate = gate_of(ALPHA, relaxation="gumbel")
    gate.tau, gate.noise = 0.5, torch.tensor([[0.5, -0.3, 0.2]])
    expected = torch.tensor([0.747814, 0.101206, 0.150981])
    torch.testing.assert_close(gate()[0], expected, atol=1e-6, rtol=0)
    quiet = torch.tensor([0.490629, 0.328879, 0.180492])
    torch.testing.assert_close(gate.eval()()[0], quiet, atol=1e-6, rtol=0)


def test_mix_and_its_gradient_have_the_published_values():
    """c = p_m (1, 2) + p_f (2, 3) * (0.5, -1); dL/dalpha of its sum adds up to zero."""
    branch = Pairs(2, 2, [(0, 1)], [UNDECIDED])
    gate = branch.gate = gate_of(ALPHA)
    second = torch.tensor([[[2.0, 3.0], [0.5, -1.0]]])
    mixed = branch(second, torch.tensor([[[1.0, 2.0]]]))
    torch.testing.assert_close(mixed, torch.tensor([[0.749911, -0.188100]]), atol=1e-6, rtol=0)
    mixed.sum().backward()
    expected = torch.tensor([[1.005330, -0.864828, -0.140503]])
    torch.testing.assert_close(gate.weight.grad, expected, atol=1e-6, rtol=0)
    assert abs(float(gate.weight.grad.sum())) < 1e-6


def test_temperature_follows_training_steps_alone():
    gate = PairGate(1, slope=5e-5)
    for step, expected in ((0, 1.0), (1000, 0.95), (10_000, 0.5), (19_800, 0.01), (50_000, 0.01)):
        gate.advance(step, 100, 0)
        assert gate.tau == pytest.approx(expected)
    gate = PairGate(1)
    for step, expected in ((0, 1.0), (80, 0.01), (100, 0.01)):
        gate.advance(step, 101, 0)
        assert gate.tau == pytest.approx(expected, abs=1e-9)
    for _ in range(1000):
        gate.eval()()
    assert gate.tau == pytest.approx(0.01)


def test_decision_is_the_largest_alpha_and_fits_the_budget():
    alpha = torch.tensor([[3.0, 1.0, 0.0], [2.0, 0.0, 1.9], [0.0, 1.0, 0.5], [5.0, 0.0, 4.0]])
    assert gate_of(alpha).derive() == ["memorize", "memorize", "factorize", "memorize"]
    tight = gate_of(alpha, cost=[100.0, 100.0, 1.0, 1000.0], budget=200.0)
    # Per byte the last pair loses least (1 / 1000), and the rest fits without it.
    assert tight.derive() == ["memorize", "memorize", "factorize", "naive"]
    tighter = gate_of(alpha, cost=[100.0, 100.0, 1.0, 1000.0], budget=100.0)
    assert tighter.derive() == ["memorize", "naive", "factorize", "naive"]


def test_price_pushes_memorizing_down_while_it_is_over_budget():
    gate = gate_of(torch.zeros(2, 3), cost=[10.0, 30.0], budget=5.0)
    gate.price = 0.5
    gate.regularise()
    # d/dalpha of 0.5 * sum(p_m c) / 5: p = 1/3, so (2/9) c / 10 for memorize, half less for others
    expected = torch.tensor([[20 / 90, -10 / 90, -10 / 90], [60 / 90, -30 / 90, -30 / 90]])
    torch.testing.assert_close(gate.weight.grad, expected)
    within = gate_of(torch.zeros(2, 3), cost=[10.0, 30.0], budget=50.0)
    within.price = 0.5
    within.regularise()
    assert within.weight.grad is None


# ---- crosses


def mix(z: int) -> int:
    mask = 2**64 - 1
    z = (z + 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


def test_hashed_rows_are_those_of_exact_arithmetic():
    salt = pair_salt("a", "b", 7)
    table = CrossTable([(0, 1)], [salt], 2, singles=2, rows=1013)
    codes = torch.tensor([[3, 4], [2**32 - 1, 5], [0, 1], [2, 4], [4, 2]])
    rows = table.row_of(codes[:, :1], codes[:, 1:], torch.tensor([0]))[:, 0].tolist()
    expected = [mix(mix(a ^ salt) ^ b) % 1013 for a, b in codes.tolist()[:3]]
    assert rows == [*expected, table.zero_row, table.zero_row]


def exact_table(pairs, sizes, met, singles, dim=2, edges=()):
    """A table whose keys are the met crosses ``(pair, a, b)``."""
    spans = [sizes[i] * sizes[j] for i, j in pairs]
    keys = sorted(sum(spans[:p]) + a * sizes[pairs[p][1]] + b for p, a, b in met)
    return CrossTable(
        pairs,
        [0] * len(pairs),
        dim,
        singles=singles,
        sizes=sizes,
        keys=np.array(keys, np.int64),
        edges=edges,
    )


def test_exact_ids_of_pairs_never_meet_and_each_pair_has_its_own_unseen_one():
    sizes, pairs = [6, 7, 8], list(combinations(range(3), 2))
    draw = np.random.default_rng(0)
    met = {
        (p, int(draw.integers(3, sizes[i])), int(draw.integers(3, sizes[j])))
        for p, (i, j) in enumerate(pairs)
        for _ in range(5)
    }
    table = exact_table(pairs, sizes, met, singles=3)
    assert table.shared == len(met) + len(pairs), "kept keys and one more for each pair"
    seen: dict[int, tuple[int, int, int]] = {}
    for p, (i, j) in enumerate(pairs):
        for a in range(sizes[i]):
            for b in range(sizes[j]):
                at = torch.tensor([[a]]), torch.tensor([[b]])
                row = int(table.row_of(*at, torch.tensor([p])))
                if DROPPED in (a, b):
                    assert row == table.zero_row
                elif (p, a, b) in met:
                    assert row >= len(pairs)
                    assert seen.setdefault(row, (p, a, b)) == (p, a, b)
                else:
                    assert row == p
    assert len(seen) == len(met)


def test_a_field_outside_the_pair_never_moves_its_cross():
    pairs = list(combinations(range(4), 2))
    table = CrossTable(pairs, range(6), 3, singles=4, rows=500)
    torch.nn.init.normal_(table.weight)
    codes = torch.randint(3, 9, (50, 4), generator=torch.Generator().manual_seed(0))
    before = table(codes, torch.zeros(50, 0))
    for field in range(4):
        other = codes.clone()
        other[:, field] = 3 + (other[:, field] - 2) % 6
        after = table(other, torch.zeros(50, 0))
        same = (before == after).all(-1).all(0).tolist()
        assert same == [field not in pair for pair in pairs]


def test_lists_cross_as_the_mean_over_their_tokens_and_numbers_by_bucket():
    """A category, a number and two lists against a loop over rows, pairs and tokens."""
    edges = ((-0.5, 0.5),)
    pairs = list(combinations(range(4), 2))
    table = CrossTable(pairs, range(10, 16), 3, singles=2, rows=97, edges=edges)
    torch.nn.init.normal_(table.weight)
    with torch.no_grad():
        table.weight[table.zero_row] = 0
    codes = torch.tensor([[3], [4], [0], [2]])
    numbers = torch.tensor([[-1.0], [0.5], [float("nan")], [0.0]])
    bags = [
        (torch.tensor([3, 4, 7, 2]), torch.tensor([2, 0, 1, 1])),
        (torch.tensor([8, 5, 5, 3, 6]), torch.tensor([3, 1, 0, 1])),
    ]
    found = table(codes, numbers, bags)
    members = [[[c] for c in codes[:, 0].tolist()], [[3], [5], [0], [4]],
               [[3, 4], [], [7], [2]], [[8, 5, 5], [3], [], [6]]]  # fmt: skip
    for p, (i, j) in enumerate(pairs):
        for row in range(4):
            combos = [(a, b) for a in members[i][row] for b in members[j][row]]
            expected = torch.zeros(3)
            for a, b in combos:
                at = torch.tensor([[a]]), torch.tensor([[b]]), torch.tensor([p])
                expected += table.weight[int(table.row_of(*at))] / len(combos)
            torch.testing.assert_close(found[row, p], expected)


@pytest.mark.parametrize("rows", [0, 1])
def test_crosses_of_no_row_and_of_one(rows):
    config = make_config({"model": {"name": "optinter", "pairs": {"op": "memorize"}}}).model
    model = build_model(config, LAYOUT)
    assert model(*sample_inputs(rows)).shape == (rows,)


def test_buckets_count_edges_at_or_below():
    buckets = Buckets([(0.0, 1.0), ()])
    found = buckets(torch.tensor([[-1.0, 5.0], [0.0, 5.0], [1.5, float("nan")]]))
    assert found.tolist() == [[3, 3], [4, 3], [5, 0]]


# ---- the branch and the model


FLAT = Layout(tuple(LayoutField(f"c{i}", "categorical", 12) for i in range(4)))


def optinter(op: str, layout: Layout = FLAT, **more):
    parameters = {"name": "optinter", "pairs": {"op": op}, "dim": 4, "second_dim": 3, **more}
    return build_model(make_config({"model": parameters}).model, layout).eval()


def test_all_naive_is_a_perceptron_on_the_embeddings():
    model = optinter("naive")
    assert model.crosses is None
    assert set(model.tables) == {"fields"}
    inputs = sample_inputs(9, FLAT)
    flat = model.embed(*inputs)["fields"].flatten(1)
    expected = model.head.output(model.head.layers(flat)).squeeze(-1)
    torch.testing.assert_close(model(*inputs), expected, rtol=0, atol=0)


def test_all_memorize_is_a_perceptron_fed_explicit_cross_ids():
    model = optinter("memorize")
    assert set(model.tables) == {"fields"}
    torch.nn.init.normal_(model.crosses.weight)
    codes, *rest = sample_inputs(9, FLAT)
    codes = codes.clamp(min=3)
    rows = [
        model.crosses.row_of(codes[:, i : i + 1], codes[:, j : j + 1], torch.tensor([p]))
        for p, (i, j) in enumerate(combinations(range(4), 2))
    ]
    explicit = torch.nn.functional.embedding(torch.cat(rows, 1), model.crosses.weight).flatten(1)
    flat = model.embed(codes, *rest)["fields"].flatten(1)
    x = torch.cat([flat, explicit], 1)
    torch.testing.assert_close(model(codes, *rest), model.head.output(model.head.layers(x))[:, 0])


def test_all_factorize_is_the_product_network():
    model = optinter("factorize")
    assert model.crosses is None
    inputs = sample_inputs(9, FLAT)
    reads = model.embed(*inputs)
    u = reads["second"]
    products = [u[:, i] * u[:, j] for i, j in combinations(range(4), 2)]
    x = torch.cat([reads["fields"].flatten(1), *products], 1)
    torch.testing.assert_close(model(*inputs), model.head.output(model.head.layers(x))[:, 0])


def test_poly2_and_logistic_regression_are_special_cases():
    """Poly2: a weight per value and one per cross, added; without crosses, LR."""
    config = {
        "name": "lr",
        "interactions": ["linear", "pairs"],
        "second_dim": 1,
        "pairs": {"op": "memorize", "reduce": "sum"},
    }
    model = build_model(make_config({"model": config}).model, FLAT).eval()
    torch.nn.init.normal_(model.crosses.weight)
    codes, *rest = sample_inputs(9, FLAT)
    codes = codes.clamp(min=3)
    expected = model.tables["weights"](codes).sum((1, 2))
    for p, (i, j) in enumerate(combinations(range(4), 2)):
        at = codes[:, i : i + 1], codes[:, j : j + 1], torch.tensor([p])
        expected = expected + model.crosses.weight[model.crosses.row_of(*at)][:, 0, 0]
    torch.testing.assert_close(model(codes, *rest), expected)
    config["pairs"] = {"op": "naive"}
    linear = build_model(make_config({"model": config}).model, FLAT).eval()
    alone = build_model(make_config({"model": {"name": "lr"}}).model, FLAT).eval()
    assert sum(p.numel() for p in linear.parameters()) == sum(p.numel() for p in alone.parameters())


def test_only_chosen_pairs_have_columns_and_only_memorized_ones_rows():
    given = [
        {"fields": ["c0", "c2"], "op": "memorize"},
        {"fields": ["c3", "c1"], "op": "factorize"},
    ]
    model = optinter("naive", operations=given)
    assert model.branches["pairs"].out_dim == 2 * 3
    assert model.crosses.pairs == [(0, 2)]
    first = model.head.layers[0]
    assert first.in_features == 4 * 4 + 2 * 3


@pytest.mark.parametrize("op", ["memorize", "factorize", "naive"])
def test_every_architecture_meets_the_contract(op):
    config = make_config({"model": {"name": "optinter", "pairs": {"op": op}, "cross_rows": 50}})
    failed = [v for v in check_model(config.model, component=op) if not v.ok]
    assert not failed


def test_row_wise_crosses_learn_as_dense_ones():
    """One step of Adam on rows gathered outside autograd equals that on a dense table."""
    from ctrkit.config.sections import TrainConfig
    from ctrkit.train.optimizers import build_optimizers

    found = []
    for sparse_from in (10, 10**9):
        config = make_config(
            {"model": {"name": "optinter", "pairs": {"op": "memorize"}, "cross_rows": 64}}
        ).model
        model = build_model(config, LAYOUT, sparse_from=sparse_from).train()
        optimizers = build_optimizers(model, TrainConfig())
        assert model.crosses.sparse == (sparse_from == 10)
        model(*sample_inputs(32)).sum().backward()
        optimizers.step(1e-2)
        found.append(model.crosses.weight.detach().clone())
    torch.testing.assert_close(found[0], found[1])
    assert float(found[0].abs().sum()) > 0
    assert float(found[0][-1].abs().sum()) == 0, "the zero row stays"
