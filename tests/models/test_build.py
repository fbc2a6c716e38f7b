"""Models assembled from branches: published parameter counts, contracts, resolution of settings."""

from __future__ import annotations

import pytest
import torch

from ctrkit.config.files import make_config
from ctrkit.config.sections import ModelConfig
from ctrkit.errors import ConfigError, UnknownNameError
from ctrkit.layout import Layout, LayoutField
from ctrkit.models.build import build_model, count_parameters
from ctrkit.models.presets import PRESETS
from ctrkit.models.resolve import resolve_model
from ctrkit.testing.models import LAYOUT, check_model, sample_inputs


def model_config(**values) -> ModelConfig:
    return make_config({"model": values}).model


def layout_of(fields: int, rows: int, numeric: int = 0) -> Layout:
    sizes = [rows // fields] * fields
    sizes[0] += rows - sum(sizes)
    coded = [LayoutField(f"c{i}", "categorical", size) for i, size in enumerate(sizes)]
    return Layout((*coded, *(LayoutField(f"n{i}", "numeric", 0) for i in range(numeric))))


def attention(layers: int, heads: int, width: int, *, norm: bool) -> dict:
    options = {"layers": layers, "heads": heads, "head_dim": width // heads}
    return {**options, "norm": "before_relu" if norm else "none"}


def test_autoint_without_its_table_has_the_paper_and_the_release_count():
    """F = 39, d = 16, L = 3, H = 2, d' = 32: 39 361; with biases and layer norm 40 513."""
    rows = 390
    for preset, expected in (("paper", 39_361), ("release", 40_513)):
        model = build_model(model_config(name="autoint", preset=preset), layout_of(39, rows))
        assert count_parameters(model)["allocated"] - 16 * rows == expected


WIDE = ["linear", "attention"]
WIDE_DEEP = ["linear", "attention", "mlp"]
PUBLISHED = [
    ("Frappe_x1", "autoint", 10, 5_389, 0, None, (6, 4, 128, False), 306_051),
    ("Frappe_x1", "autoint+", 10, 5_389, 0, None, (5, 4, 128, True), 622_180),
    ("MovielensLatest_x1", "autoint", 3, 90_239, 0, WIDE, (2, 4, 128, True), 1_047_798),
    ("MovielensLatest_x1", "autoint+", 3, 90_239, 0, WIDE_DEEP, (2, 4, 128, True), 1_383_799),
    ("Avazu_x1", "autoint", 22, 1_298_599, 0, None, (4, 1, 128, True), 13_142_407),
    ("Avazu_x1", "autoint+", 22, 1_298_599, 0, None, (5, 2, 256, True), 14_202_856),
    ("Criteo_x1", "autoint", 26, 2_086_303, 13, WIDE, (3, 4, 256, True), 23_364_453),
    ("Criteo_x1", "autoint+", 26, 2_086_303, 13, WIDE_DEEP, (3, 2, 256, True), 23_844_454),
]


@pytest.mark.parametrize(
    ("data", "name", "fields", "rows", "numeric", "branches", "shape", "expected"), PUBLISHED
)
def test_fuxictr_preset_has_the_published_totals(
    data, name, fields, rows, numeric, branches, shape, expected
):
    """BARS runs of FuxiCTR, d = 10; a numeric field counts as one row."""
    layers, heads, width, norm = shape
    parameters = {"attention": attention(layers, heads, width, norm=norm)}
    if branches:
        parameters["linear"] = {"bias": False}
    config = model_config(
        name=name, preset="fuxictr", dim=10, interactions=branches, parameters=parameters
    )
    with torch.device("meta"):
        model = build_model(config, layout_of(fields, rows, numeric))
    assert count_parameters(model)["allocated"] == expected, data


EVERY = [(name, preset) for name, presets in PRESETS.items() for preset in presets]


@pytest.mark.parametrize(("name", "preset"), EVERY)
def test_every_model_keeps_the_contract(name, preset):
    problems = [
        v for v in check_model(ModelConfig(name=name, preset=preset), component=name) if not v.ok
    ]
    assert problems == []


def test_numeric_embedding_is_linear_and_zero_gives_zero_and_no_gradient():
    model = build_model(model_config(name="autoint"), LAYOUT)
    codes, _, bags = sample_inputs(1)
    one, three, zero, missing = (
        model.embed(codes, torch.tensor([[z]]), bags)["fields"][:, 3]
        for z in (1.0, 3.0, 0.0, float("nan"))
    )
    assert torch.allclose(three, 3 * one)
    assert torch.equal(zero, torch.zeros_like(zero))
    assert torch.equal(missing, torch.zeros_like(zero))
    zero.sum().backward()
    assert torch.equal(model.vectors["fields"].grad, torch.zeros_like(zero))


def test_a_missing_number_is_learned_outside_autoint():
    model = build_model(model_config(name="fm"), LAYOUT)
    with torch.no_grad():
        model.missing["fields"].fill_(0.25)
    codes, _, bags = sample_inputs(1)
    found = model.embed(codes, torch.tensor([[float("nan")]]), bags)["fields"][:, 3]
    assert torch.equal(found, torch.full_like(found, 0.25))


def test_bags_are_means_whatever_their_order_and_empty_ones_are_zero():
    model = build_model(model_config(name="dnn"), LAYOUT)
    codes, numbers, _ = sample_inputs(4)

    def bag_vectors(tokens: list[int], lengths: list[int]) -> torch.Tensor:
        bags = [(torch.tensor(tokens, dtype=torch.int64), torch.tensor(lengths))]
        return model.embed(codes, numbers, bags)["fields"][:, 4]

    found = bag_vectors([5, 7, 7, 5, 5], [2, 2, 1, 0])
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[3], torch.zeros(16))
    table = model.tables["fields"]
    alone = table(torch.tensor([[5]]), slice(3, 4))[0, 0]
    assert torch.equal(found[2], alone)
    assert torch.isfinite(bag_vectors([], [0, 0, 0, 0])).all()


def test_autoint_plus_adds_its_perceptron_to_autoint():
    plus = build_model(model_config(name="autoint+"), LAYOUT).eval()
    inputs = sample_inputs(7)
    _, deep = plus.branch_outputs(*inputs)
    branch = plus.head.linears[1](deep).squeeze(-1)
    alone = build_model(model_config(name="autoint"), LAYOUT).eval()
    state = plus.state_dict()
    names = {n: n.replace("head.linears.0", "head.linears.0") for n in alone.state_dict()}
    alone.load_state_dict({n: state[m] for n, m in names.items()})
    assert torch.allclose(plus(*inputs) - branch, alone(*inputs), atol=1e-6)


def test_autoint_plus_without_layers_is_autoint():
    config = model_config(name="autoint+", parameters={"mlp": {"hidden": []}})
    plus, alone = build_model(config, LAYOUT), build_model(model_config(name="autoint"), LAYOUT)
    a, b = plus.state_dict(), alone.state_dict()
    assert a.keys() == b.keys()
    assert torch.equal(plus.eval()(*sample_inputs(7)), alone.eval()(*sample_inputs(7)))


def test_autoint_without_layers_is_logistic_regression_on_the_embeddings():
    config = model_config(name="autoint", parameters={"attention": {"layers": 0}})
    model = build_model(config, LAYOUT).eval()
    inputs = sample_inputs(7)
    linear = model.head.linears[0]
    flat = model.embed(*inputs)["fields"].flatten(1)
    assert torch.allclose(model(*inputs), linear(flat).squeeze(-1))


def test_logits_start_at_the_base_rate():
    model = build_model(model_config(name="lr"), LAYOUT).eval()
    inputs = sample_inputs(7)
    before = model(*inputs)
    model.start_at(0.2)
    assert torch.allclose(model(*inputs) - before, torch.tensor(0.2 / 0.8).log())


def test_a_row_of_the_table_is_hashed_where_it_must_be():
    hashed = Layout(
        (LayoutField("big", "categorical", 2**32, hashed=True), LayoutField("c", "categorical", 9))
    )
    model = build_model(model_config(name="fm", rows=100), hashed)
    assert model.tables["fields"].rows == 109
    with pytest.raises(ConfigError, match="full table"):
        build_model(model_config(name="fm", table="full"), hashed)
    small = build_model(model_config(name="fm", table="hashed", rows=5), hashed)
    assert small.tables["fields"].rows == 11  # 5 + 5 and the zero row


def test_tables_are_row_wise_from_a_size_on():
    model = build_model(model_config(name="fm"), LAYOUT, sparse_from=10)
    assert model.tables["fields"].sparse
    assert not model.tables["fields"].weight.requires_grad
    model.train()(*sample_inputs(5)).sum().backward()
    assert len(model.tables["fields"].touched) == 2  # the codes and the bag


def test_resolving_fills_every_parameter_and_is_idempotent():
    config = resolve_model(model_config(name="deepfm"))
    assert config.interactions == ("linear", "fm", "mlp")
    assert config.head == "sum"
    assert config.parameters["mlp"]["hidden"] == [400, 400]
    assert resolve_model(config) == config


@pytest.mark.parametrize(
    ("values", "error", "word"),
    [
        ({"name": "autoin"}, UnknownNameError, "autoint"),
        ({"name": "autoint", "preset": "papr"}, ConfigError, "paper"),
        ({"name": "fm", "preset": "release"}, ConfigError, "paper"),
        ({"interactions": ["fm", "mpl"]}, UnknownNameError, "mlp"),
        ({"interactions": ["fm", "fm"]}, ConfigError, "twice"),
        ({"interactions": []}, ConfigError, "at least one"),
        ({"interactions": ["mlp"], "mlp": {"hidden": []}}, ConfigError, "nothing to learn"),
        ({"head": "summ"}, UnknownNameError, "sum"),
        ({"attention": {"head": 3}}, ConfigError, "heads"),
        ({"attention": {"heads": 0}}, ConfigError, "heads"),
        ({"name": "fm", "attention": {"heads": 2}}, ConfigError, "attention"),
    ],
)
def test_a_mistake_names_the_way_out(values, error, word):
    with pytest.raises(error, match=word):
        build_model(model_config(**values), LAYOUT)
