"""Named models: their branches, heads and hyper-parameters. Plain data, no torch.

``paper`` follows the model's paper; ``release`` the authors' published code; ``fuxictr`` the
conventions of FuxiCTR, in which many published benchmark figures were measured; ``bars`` the
published run on Criteo (docs/methods.md, "Published runs").
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Preset:
    """The components of a named model.

    Attributes:
        interactions: The parallel branches.
        head: Head that combines them.
        parameters: Hyper-parameters of the components that differ from their defaults.
        numeric_missing: Vector of a missing number.
    """

    interactions: tuple[str, ...]
    head: str = "sum"
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    numeric_missing: Literal["learned", "zero"] = "learned"


PAPER = {"layers": 3, "heads": 2, "head_dim": 32, "residual": "linear"}
RELEASE = {**PAPER, "bias": True, "activation": True, "scale": True, "norm": "after_relu"}
FUXICTR = {**PAPER, "residual": "match"}
DESTINE = {
    "form": "disentangled",
    "layers": 3,
    "heads": 1,
    "head_dim": 64,
    "bias": True,
    "scale": True,
}
DEEP = {"hidden": (400, 400)}
SERIAL_MASK_BARS = {
    "hidden": (400, 400, 400),
    "ratio": 0.2,
    "dropout": 0.2,
    "norm_fields": False,
}
DEEP_FUXICTR = {"hidden": (400, 400, 400), "norm": "batch"}


def _bars(*interactions: str, head: str = "sum", **parameters: dict[str, Any]) -> dict[str, Preset]:
    """Return both presets of a model: ``bars`` with parameters, ``paper`` without them."""
    return {
        "paper": Preset(interactions, head),
        "bars": Preset(interactions, head, parameters, "zero"),
    }


def _dcn(form: str, mlp: dict[str, Any]) -> dict[str, Preset]:
    crossnet = {"form": form}
    parameters = {"crossnet": crossnet, "mlp": mlp}
    return {
        "paper": Preset(("crossnet", "mlp"), parameters={"crossnet": crossnet}),
        "bars": Preset(("crossnet", "mlp"), "concat", parameters, "zero"),
    }


def _autoint(attention: dict[str, Any], mlp: dict[str, Any] | None = None) -> Preset:
    if mlp is None:
        return Preset(("attention",), "sum", {"attention": attention}, "zero")
    parameters = {"attention": attention, "mlp": mlp}
    return Preset(("attention", "mlp"), "sum", parameters, "zero")


PRESETS: dict[str, dict[str, Preset]] = {
    "lr": {"paper": Preset(("linear",))},
    "fm": {"paper": Preset(("linear", "fm"))},
    "dnn": {"paper": Preset(("mlp",))},
    "deepfm": _bars(
        "linear", "fm", "mlp", linear={"bias": False}, mlp={**DEEP_FUXICTR, "dropout": 0.1}
    ),
    "dcn": _dcn("vector", {"hidden": (400, 400, 400), "dropout": 0.1}),
    "dcnv2": _dcn("matrix", {"hidden": (500, 500, 500), "dropout": 0.1}),
    "ipnn": _bars("flat", "products", head="mlp", mlp={**DEEP_FUXICTR, "dropout": 0.1}),
    "fwfm": {
        "paper": Preset(("flat", "products"), "concat"),
        "bars": Preset(("value_vectors", "products"), numeric_missing="zero"),
    },
    "optinter": {"paper": Preset(("flat", "pairs"), "mlp", {"mlp": {"norm": "layer"}})},
    "autoint": {
        "paper": _autoint(PAPER),
        "release": _autoint(RELEASE),
        "fuxictr": _autoint(FUXICTR),
    },
    "autoint+": {
        "paper": _autoint(PAPER, DEEP),
        "release": _autoint(RELEASE, DEEP),
        "fuxictr": _autoint(FUXICTR, DEEP_FUXICTR),
    },
    "finalnet": _bars(
        "gated_factorized",
        "factorized",
        head="mean",
        gated_factorized={"hidden": (400, 400), "dropout": 0.1},
        factorized={"hidden": (400, 400)},
    ),
    "masknet": {
        "paper": Preset(("parallel_mask",)),
        "bars": Preset(
            ("serial_mask",), "sum", {"serial_mask": SERIAL_MASK_BARS}, numeric_missing="zero"
        ),
    },
    "fcn": _bars(
        "exponential_cross",
        "linear_cross",
        head="mean",
        exponential_cross={"layers": 3, "dropout": 0.1},
        linear_cross={"layers": 4, "dropout": 0.2},
    ),
    "qnn": _bars("quadratic", quadratic={"layers": 3, "rows": 2, "dropout": 0.1}),
    "edcn": _bars(
        "edcn", edcn={"layers": 3, "temperature": 20.0, "residual": False, "dropout": 0.1}
    ),
    "gdcn": {
        "paper": Preset(("crossnet", "mlp"), "concat", {"crossnet": {"form": "gated"}}),
    },
    "afn": _bars(
        "logarithmic",
        logarithmic={"neurons": 400, "hidden": (800,), "hidden_norm": "none", "dropout": 0.5},
    ),
    "afn+": _bars(
        "logarithmic",
        "second_mlp",
        logarithmic={"neurons": 100, "hidden": (200,), "dropout": 0.4},
        second_mlp={**DEEP_FUXICTR, "dropout": 0.1},
    ),
    "finalmlp": _bars(
        "stream1",
        "stream2",
        head="bilinear_fusion",
        stream1={"hidden": (1000, 1000, 1000, 1000, 1000), "dropout": 0.2, "gate": False},
        stream2={"hidden": (500,), "dropout": 0.1, "gate": False},
        bilinear_fusion={"heads": 50},
    ),
    "fibinet": {
        "paper": Preset(("bilinear",), "mlp", {"bilinear": {"form": "each"}}),
        "low_rank": Preset(("flat", "bilinear"), "mlp", {"bilinear": {"form": "low_rank"}}),
    },
    "xdeepfm": _bars(
        "linear",
        "cin",
        "mlp",
        linear={"bias": False},
        cin={"maps": (16, 16), "bias": True},
        mlp={"hidden": (400, 400, 400), "dropout": 0.2},
    ),
    "destine": {
        "paper": Preset(("attention", "mlp"), "sum", {"attention": DESTINE}),
        "bars": Preset(
            ("attention", "mlp"),
            "sum",
            {
                "attention": {**DESTINE, "layers": 4, "head_dim": 128, "dropout": 0.2},
                "mlp": {**DEEP_FUXICTR, "dropout": 0.2},
            },
            "zero",
        ),
    },
    "wukong": {"paper": Preset(("wukong",), "mlp")},
    "rankmixer": {"paper": Preset(("token_mixer",))},
}
