"""The derived space equals the recorded one: keys, bounds, conditions, order of drawing.

Run this file to record the spaces again.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ctrkit.components import STATIC
from ctrkit.config.files import load_config
from ctrkit.search.params.build import make_space
from ctrkit.search.params.config import ParamsConfig
from ctrkit.search.params.derived import derived_parameters

RECORDED = Path(__file__).with_name("derived_spaces.json")
BYTES = 'search.objectives=["logloss", "bytes"]'
CASES = {
    "autoint": [],
    "deepfm": ["model.name=deepfm"],
    "bytes": ["model.name=deepfm", BYTES],
    "bytes, table set": ["model.name=deepfm", BYTES, "model.table=hashed"],
    "bytes, rows set": ["model.name=deepfm", BYTES, "model.rows=500"],
    "bytes over features": ["model.name=fm", BYTES, "search.over=features"],
    "optinter": ["model.name=optinter"],
    "some set": ["model.name=dcnv2", "train.lr=0.01", "train.schedule=cosine", "model.dim=8"],
    "some set, free": ["model.name=dcnv2", "train.lr=0.01", "model.dim=8", "search.free=true"],
    "pool": ['search.interactions=["fm", "crossnet", "attention", "mlp"]'],
    "models": ['search.space.model.name=["deepfm", "dcnv2"]', BYTES],
    "head": ["model.name=autoint+", 'search.space.model.head=["sum", "mlp"]'],
    "features": ["model.name=fm", "search.over=features"],
    "features, epochs set": ["model.name=fm", "search.over=features", "search.inner.epochs=2"],
    "features, ratio set": [
        "model.name=fm",
        "search.over=features",
        "search.inner.target_ratio=[0.1]",
    ],
    "features, free": [
        "model.name=fm",
        "search.over=features",
        "search.inner.epochs=2",
        "search.free=true",
    ],
    "interactions": ["search.over=interactions"],
    "interactions, some set": [
        "search.over=interactions",
        "search.inner.warmup=0.1",
        "model.second_dim=4",
    ],
    "written": [
        "model.name=deepfm",
        "search.space.train.lr={low=0.001, high=0.1, log=true}",
        "search.space.train.batch_size=[256, 512]",
        "search.space.model.dim=false",
    ],
}


FIELDS = ("key", "kind", "low", "high", "log", "step", "choices", "owner", "when")


def lines(settings: list[str]) -> list[str]:
    """Return a dimension per line in the order of drawing, and the first point."""
    space = make_space(load_config(overrides=settings, kind=ParamsConfig))
    drawn = [json.dumps([getattr(one, name) for name in FIELDS]) for one in space.dimensions]
    return [*drawn, f"start {json.dumps(space.start())}"]


@pytest.mark.parametrize("name", CASES)
def test_derived_space_equals_the_recorded_one(name: str) -> None:
    assert lines(CASES[name]) == json.loads(RECORDED.read_text(encoding="utf-8"))[name]


@pytest.mark.parametrize("kind", ["interaction", "head"])
def test_every_hyper_parameter_of_a_layer_can_be_searched(kind) -> None:
    names = [entry.name for entry in STATIC if entry.kind == kind]
    without = [key for key, dimension in derived_parameters(names) if not dimension]
    assert set(without) <= {"model.stream1.context", "model.stream2.context"}  # names of fields


if __name__ == "__main__":
    spaces = {name: lines(settings) for name, settings in CASES.items()}
    RECORDED.write_text(json.dumps(spaces, indent=1) + "\n", encoding="utf-8")
