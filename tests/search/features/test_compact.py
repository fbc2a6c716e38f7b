"""A compact model computes what the large one computes with hard gates."""

import numpy as np
import pytest
import torch

from ctrkit.config.files import make_config
from ctrkit.data.encode.field import kept_codes
from ctrkit.layout import Layout, LayoutField
from ctrkit.models.build import build_model, count_parameters
from ctrkit.models.presets import PRESETS
from ctrkit.nn.gates.value import ValueGate
from ctrkit.search.features.compact import compact
from ctrkit.testing.models import sample_inputs

FIELDS = (
    LayoutField("a", "categorical", 40),
    LayoutField("b", "categorical", 30),
    LayoutField("c", "categorical", 20),
    LayoutField("d", "categorical", 25),
    LayoutField("x", "numeric", 0),
    LayoutField("y", "numeric", 0),
    LayoutField("m", "multi", 15),
)

OTHER_FUNCTIONS = {
    "afn": "the logarithm of zero",
    "afn+": "the logarithm of zero",
    "autoint": "the softmax over the remaining fields",
    "autoint+": "the softmax over the remaining fields",
    "dcn": "the bias of a cross layer",
    "destine": "the softmax over the remaining fields",
    "edcn": "the biases of both streams",
    "fcn": "the layer normalisation over all fields",
    "rankmixer": "fields move to other tokens",
    "wukong": "the layer normalisation over all products",
    "fibinet": "as many hidden units of the squeeze network as fields",
    "masknet": "normalised fields, and as many hidden units of a mask as fields",
}
"""Models that change when a whole field vanishes, and why."""


def choice(vanish: tuple[str, ...]) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    kept = {f.name: draw.random(max(f.rows, 1)) < 0.5 for f in FIELDS}
    kept["x"][:] = kept["y"][:] = True
    kept["a"][3] = kept["m"][3] = True
    for name in vanish:
        kept[name][:] = False
    return kept


def pruned(kept: dict[str, np.ndarray]) -> Layout:
    fields = []
    for f in FIELDS:
        if kept[f.name].any():
            rows = len(kept_codes(kept[f.name])) if f.kind != "numeric" else 0
            fields.append(LayoutField(f.name, f.kind, rows))
    return Layout(tuple(fields))


def recoded(codes: torch.Tensor, mask: np.ndarray) -> torch.Tensor:
    table = np.full(len(mask), 2)
    back = kept_codes(mask)
    table[back] = np.arange(len(back))
    table[:3] = [0 if mask[0] else 2, 1 if mask[1] else 2, 2]
    return torch.from_numpy(table)[codes]


@pytest.mark.parametrize("vanish", [(), ("b",), ("b", "y"), ("a", "m")], ids=str)
@pytest.mark.parametrize("name", sorted(PRESETS))
def test_logits_are_those_of_hard_gates(name, vanish):
    config = make_config({"model": {"name": name, "dim": 4}}).model
    old = build_model(config, Layout(FIELDS), seed=1).eval()
    with torch.no_grad():
        for p in old.parameters():
            p += 0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(3))
        for table in old.tables.values():
            table.weight[table.row_of(torch.full((1, 5), 2)).reshape(-1)] = 0  # code 2 is zero
            table.weight[table.offsets + 2] = 0
    kept = choice(vanish)
    layout = pruned(kept)
    gate = ValueGate([f.rows for f in FIELDS if f.kind != "numeric"], 2)
    order = [f.name for f in FIELDS if f.kind != "numeric"] + ["x", "y"]
    gate.keep(torch.from_numpy(np.concatenate([kept[n] for n in order])))
    new = build_model(config, layout, seed=9).eval()
    new.load_state_dict(compact(old.state_dict(), old, new, kept, gate.factor))
    codes, numbers, bags = sample_inputs(64, Layout(FIELDS))
    old.gate = gate
    coded = [f.name for f in FIELDS if f.kind == "categorical"]
    less = [recoded(codes[:, i], kept[n]) for i, n in enumerate(coded) if kept[n].any()]
    stays = [i for i, n in enumerate(("x", "y")) if kept[n].any()]
    small_bags = [(recoded(t, kept["m"]), n) for t, n in bags] if kept["m"].any() else []
    with torch.inference_mode():
        large = old(codes, numbers, bags)
        small = new(torch.stack(less, 1), numbers[:, stays], small_bags)
    if vanish and name in OTHER_FUNCTIONS:
        return
    torch.testing.assert_close(small, large, rtol=1e-4, atol=1e-5)
    assert count_parameters(new)["allocated"] < count_parameters(old)["allocated"]


def test_weights_that_cannot_be_split_are_initialised_at_random_with_a_warning(caplog):
    config = make_config({"model": {"name": "dnn", "dim": 4}}).model
    kept = choice(("b",))
    old = build_model(config, Layout(FIELDS), seed=1)
    new = build_model(config, pruned(kept), seed=2)
    state = dict(old.state_dict())
    name = next(n for n, p in new.named_parameters() if p.ndim == 2 and n.startswith("branches"))
    state[name] = torch.zeros(state[name].shape[0], 17)  # no multiple of the fields
    found = compact(state, old, new, kept, 1.0)
    assert "initialised at random" in caplog.text
    torch.testing.assert_close(found[name], new.state_dict()[name])
