"""The space of a search: derived from bounds, overridden by ``search.space``, checked."""

from __future__ import annotations

import random
from typing import Annotated

import pytest
from torch import nn

from ctrkit import Choices, Range, interaction
from ctrkit.config.files import load_config
from ctrkit.errors import CtrkitError
from ctrkit.models.build import build_model
from ctrkit.models.presets import PRESETS
from ctrkit.models.resolve import resolve_model
from ctrkit.registry import registry
from ctrkit.search.params.build import make_space
from ctrkit.search.params.config import ParamsConfig
from ctrkit.search.params.dimension import Dimension
from ctrkit.testing.models import LAYOUT, sample_inputs


def space(*settings: str):
    return make_space(load_config(overrides=settings, kind=ParamsConfig))


def keys(*settings: str) -> list[str]:
    return [d.key for d in space(*settings).dimensions]


def at_random(seed: int):
    rng = random.Random(seed)

    def suggest(one: Dimension) -> object:
        if one.kind == "choice":
            return rng.choice(one.choices)
        return one.probes()[rng.randrange(2)]

    return suggest


def test_bounds_literals_and_booleans_of_branches_become_dimensions():
    found = {d.key: d for d in space("model.name=autoint+").dimensions}
    assert found["model.attention.layers"].probes() == (1, 4)
    assert found["model.attention.head_dim"].log
    assert found["model.attention.residual"].choices == ("linear", "match", "none")
    assert found["model.attention.bias"].choices == (False, True)
    assert (400, 400) in found["model.mlp.hidden"].choices
    assert found["model.mlp.dropout"].kind == "float"
    assert not any(k.startswith("model.crossnet") for k in found)


def test_registered_layer_is_searched_by_its_signature():
    class Own(nn.Module):
        """A layer."""

        def __init__(
            self,
            fields: int,
            dim: int,
            *,
            rank: Annotated[int, Range(1, 64, search=(2, 8))] = 8,
            how: Annotated[str, Choices("a", "b")] = "a",
            free: str = "x",
        ) -> None:
            super().__init__()
            self.out_dim = 1

    interaction("own_space_layer")(Own)
    try:
        found = {d.key: d for d in space("model.name=own_space_layer").dimensions}
    finally:
        registry.entries.pop(("interaction", "own_space_layer"))
        registry.components.pop(("interaction", "own_space_layer"))
    assert found["model.own_space_layer.rank"].probes() == (2, 8)
    assert found["model.own_space_layer.how"].choices == ("a", "b")
    assert "model.own_space_layer.free" not in found


def test_explicit_values_are_not_searched_unless_the_space_names_them():
    assert "train.lr" not in keys("train.lr=0.01")
    assert "train.lr" in keys("train.lr=0.01", "search.space.train.lr=[0.1, 0.2]")
    assert "model.mlp.dropout" not in keys("model.name=dnn", "model.mlp.dropout=0.1")
    assert "train.lr" not in keys("search.space.train.lr=false")
    only = keys("search.derive=false", "search.space.train.lr={low=0.001, high=0.1, log=true}")
    assert only == ["train.lr"]


def test_dotted_and_nested_tables_are_equal():
    nested = space("search.space.model.mlp.hidden=[[8], [8, 8]]", "model.name=dnn")
    dotted = space('search.space={"model.mlp.hidden" = [[8], [8, 8]]}', "model.name=dnn")
    assert nested == dotted


@pytest.mark.parametrize("seed", range(20))
def test_parameters_exist_only_with_their_layer(seed):
    found = space(
        'search.interactions=["fm", "crossnet", "attention", "mlp"]',
        'search.space.model.head=["sum", "mlp"]',
    )
    values = found.draw(at_random(seed))
    config = found.apply(values)
    model = resolve_model(config.model)
    owners = {*model.interactions, model.head}
    drawn = {k.split(".")[1] for k in values if k.startswith("model.") and k.count(".") == 2}
    assert drawn <= owners
    assert set(model.interactions) == {
        k[4:] for k, v in values.items() if k.startswith("use.") and v
    }
    for key, value in values.items():
        if key.count(".") == 2:
            _, owner, name = key.split(".")
            got = model.parameters[owner][name]
            assert (tuple(got) if isinstance(got, list) else got) == value


def test_model_parameters_and_hashed_rows_are_conditional():
    found = space(
        'search.space.model.name=["deepfm", "dcnv2"]', 'search.objectives=["logloss", "bytes"]'
    )
    seen = set()
    for seed in range(40):
        values = found.draw(at_random(seed))
        seen.add((values["model.name"], values["model.table"]))
        assert ("model.rows" in values) == (values["model.table"] == "hashed")
        assert ("model.crossnet.layers" in values) == (values["model.name"] == "dcnv2")
        found.apply(values)
    assert len(seen) == 4


def test_user_condition_decides_whether_a_key_is_drawn():
    found = space(
        "search.derive=false",
        'search.space.train.schedule=["constant", "cosine"]',
        'search.space={"train.schedule" = ["constant", "cosine"], "train.warmup_steps" '
        '= {low = 0, high = 9, when = {"train.schedule" = "cosine"}}}',
    )
    natural = space(
        "search.derive=false",
        'search.space={train.schedule = ["constant", "cosine"], '
        'train.warmup_steps = {low = 0, high = 9, when = {train.schedule = "cosine"}}}',
    )
    assert natural.dimensions == found.dimensions
    for seed in range(8):
        values = found.draw(at_random(seed))
        assert ("train.warmup_steps" in values) == (values["train.schedule"] == "cosine")


def test_empty_point_gives_the_initial_configuration():
    found = space("model.name=deepfm", 'search.interactions=["fm", "crossnet"]')
    assert found.apply({}).model.name == "deepfm"
    assert found.apply({}).model.interactions is None


def test_first_point_is_the_initial_configuration():
    found = space("model.name=deepfm", "train.lr=0.005", "search.free=true")
    start = found.start()
    assert start["train.lr"] == 0.005
    assert start["train.l2"] == 1e-8  # 0 cannot be drawn on a logarithmic scale
    assert start["model.mlp.hidden"] == "[400, 400]"
    point = found.point(start)
    assert resolve_model(found.apply(point).model) == resolve_model(found.config.model)


@pytest.mark.parametrize(
    ("model", "used"),
    [
        ("deepfm", {"fm": True, "crossnet": False, "mlp": True}),
        ("dcnv2", {"fm": False, "crossnet": True, "mlp": True}),
        ("autoint", {"fm": True, "crossnet": True, "mlp": True}),
    ],
)
def test_first_point_uses_the_models_branches_of_a_pool(model, used):
    start = space(f"model.name={model}", 'search.interactions=["fm", "crossnet", "mlp"]').start()
    assert {k.removeprefix("use."): v for k, v in start.items() if k.startswith("use.")} == used
    assert ("model.crossnet.layers" in start) == used["crossnet"]


def test_first_point_leaves_undecided_keys_open():
    found = space("model.name=fm", "search.over=features", 'search.space={"model.dim" = [3, 5]}')
    start = found.start()
    assert "search.penalty" not in start  # by default a list, chosen on the way
    assert "model.dim" not in start  # 16 is not offered
    assert start["search.rewind"] == 0


def test_first_point_leaves_an_unoffered_model_open():
    start = space('search.space.model.name=["deepfm", "dcnv2"]').start()  # the default is autoint
    assert "model.name" not in start
    assert start["train.lr"] == 0.001
    assert not any(key.count(".") == 2 for key in start), "parameters of an unknown model"


@pytest.mark.parametrize(
    ("one", "value", "near"),
    [
        (Dimension("train.lr", "float", 0.1, 1.0), 0.02, 0.1),
        (Dimension("train.lr", "float", 0.1, 1.0, step=0.2), 1.0, 0.9),
        (Dimension("model.dim", "int", 4, 64, step=8), 17, 20),
        (Dimension("model.dim", "int", 4, 64), True, None),
        (Dimension("model.mlp.hidden", "choice", choices=((8,), (8, 8))), [8, 8], (8, 8)),
        (Dimension("model.mlp.hidden", "choice", choices=((8,),)), [9], None),
    ],
)
def test_near_returns_the_nearest_value_in_the_space(one, value, near):
    found = one.near(value)
    assert found == pytest.approx(near) if isinstance(near, float) else found == near


def test_hyper_parameters_of_an_inner_search():
    found = space("search.over=features", "search.inner.epochs=2", "model.name=fm")
    values = found.draw(at_random(1))
    config = found.apply(values)
    assert config.search.penalty == (values["search.penalty"],)
    assert config.search.epochs == 2
    assert "search.penalty" not in keys("search.over=features", "search.inner.target_ratio=[0.1]")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["search.space.train.lrr=[1]"], "did you mean 'train.lr'"),
        (["search.space.model.mlp.dropuot=[0.1]", "model.name=dnn"], "'model.mlp.dropout'"),
        (["search.space.model.crossnet.layers=[1]", "model.name=dnn"], "cannot be searched"),
        (["search.space.model.mlp.dropout=[0.1, 0.95]", "model.name=dnn"], "0.95"),
        (["search.space.train.lr={lo=1}"], "list of choices"),
        (["search.space.train.lr={low=1, hihg=2}"], "did you mean 'high'"),
        (["search.space.train.lr={low=2, high=1}"], "at most high"),
        (["search.space.train.lr={low=0, high=1, log=true}"], "log = true requires"),
        (["search.space.train.lr=3"], "list of choices"),
        (["search.space.train.lr=[]"], "at least one choice"),
        (["search.space.train.lr={low=1, high=2, step=0}"], "step must be a number above 0"),
        (["search.space.train.lr={low=1.0, high=2.0, step=-0.1}"], "step must be a number above 0"),
        (["search.space.train.lr={low=1, high=2, when=3}"], "when must be a table"),
        (
            ['search.space.train.lr={low=1e-4, high=1e-2, when={train.schedule="cosin"}}'],
            "did you mean 'cosine'",
        ),
        (
            ['search.space.train.lr={low=1e-4, high=1e-2, when={train.schedul="cosine"}}'],
            "did you mean 'train.schedule'",
        ),
        (["search.space.train.lr={low=1e-4, high=1e-2, when={model.dim=99}}"], "4 to 64"),
        (["search.space.train.seed=[1, 2]"], "cannot be searched"),
        (["search.space.model.dim={low=8, high=9999}"], "4096"),
        (['search.interactions=["fn"]'], "unknown interaction 'fn'"),
        (['search.space.model.name=["deepfn"]'], "did you mean 'deepfm'"),
        (["search.derive=false"], "nothing to search"),
        (["search.trails=3"], "did you mean 'trials'"),
        (["search.sampler=tpee"], "search.sampler"),
        (['search.objectives=["logloss", "bytes"]', "search.pruner=median"], "several objectives"),
        (['search.objectives=["bites"]'], "search.objectives"),
        (["search.inner.epochs=2"], "search.over"),
        (["search.over=features", "search.inner.epoch=2"], "did you mean 'epochs'"),
        (["search.heartbeat=60", "search.grace=30"], "search.grace"),
    ],
    ids=str,
)
def test_user_errors_name_the_rule_and_the_way_out(settings, message):
    with pytest.raises(CtrkitError) as error:
        space(*settings)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_model_trains_at_the_corners_of_its_space(name):
    corners = space(f"model.name={name}")
    for seed in range(3):
        config = corners.apply(corners.draw(at_random(seed)))
        model = build_model(config.model, LAYOUT).train()
        logits = model(*sample_inputs(9))
        assert bool(logits.isfinite().all()), config.model
        logits.sum().backward()
