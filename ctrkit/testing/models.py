"""The contract of interactions and heads: whole models are built and tried.

A test suite asserts on :func:`check_interaction`; ``ctrkit check FILE`` prints its verdicts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ctrkit.config.sections import ModelConfig
from ctrkit.layout import Layout, LayoutField
from ctrkit.models.build import build_model
from ctrkit.models.model import Model
from ctrkit.registry import registry
from ctrkit.testing.verdicts import Verdict, require, run_checks

LAYOUT = Layout(
    (
        *(LayoutField(f"c{i}", "categorical", 20) for i in range(3)),
        LayoutField("n", "numeric", 0, edges=(-0.5, 0.5)),
        LayoutField("m", "multi", 12),
    )
)
"""Three categories, a number and a bag: the fields that every component is tried on."""
Inputs = tuple[Tensor, Tensor, list[tuple[Tensor, Tensor]]]


def check_interaction(name: str) -> list[Verdict]:
    """Run the contract suite on a registered interaction, used alone as a model.

    Checked: shapes for 0, 1 and 7 rows; a gradient reaches every parameter; logits are finite
    under bf16 autocast; evaluation is deterministic; weights survive a round trip through a file;
    a row's logit does not depend on the other rows; the seed decides the weights.
    """
    registry.get("interaction", name)
    return check_model(ModelConfig(name=name), component=name)


def check_head(name: str) -> list[Verdict]:
    """Run the contract suite on a registered head, over branches of several widths.

    Checked: the checks of :func:`check_interaction`, and shapes for any number of branches.
    """
    registry.get("head", name)
    config = ModelConfig(name="fm", interactions=("linear", "fm", "flat"), head=name)
    widths = run_checks(name, config, {"branches": _branches})
    return [*check_model(config, component=name), *widths]


def check_model(config: ModelConfig, *, component: str) -> list[Verdict]:
    """Run the contract suite on a model; see :func:`check_interaction`."""
    checks: dict[str, Callable[[ModelConfig], None]] = {
        "shapes": _shapes,
        "gradients": _gradients,
        "bf16": _autocast,
        "deterministic": _deterministic,
        "round trip": _round_trip,
        "rows apart": _rows_apart,
        "seed": _seeded,
    }
    return run_checks(component, config, checks)


def sample_inputs(rows: int, layout: Layout = LAYOUT, seed: int = 0) -> Inputs:
    """Draw random codes, numbers (some missing) and bags (some empty)."""
    draw = torch.Generator().manual_seed(seed)
    coded = layout.of_kind("categorical")
    codes = (
        torch.stack(
            [torch.randint(0, min(f.rows, 2**31), (rows,), generator=draw) for f in coded], dim=1
        )
        if coded
        else torch.zeros(rows, 0, dtype=torch.int64)
    )  # (B, Fc)
    numbers = torch.randn(rows, len(layout.of_kind("numeric")), generator=draw)  # (B, Fn)
    numbers[torch.rand(numbers.shape, generator=draw) < 0.2] = float("nan")
    bags = []
    for f in layout.of_kind("multi"):
        lengths = torch.randint(0, 4, (rows,), generator=draw)  # (B,)
        tokens = torch.randint(0, f.rows, (int(lengths.sum()),), generator=draw)  # (T,)
        bags.append((tokens, lengths))
    return codes, numbers, bags


def _model(config: ModelConfig, seed: int = 0) -> Model:
    return build_model(config, LAYOUT, seed=seed)


def _shapes(config: ModelConfig) -> None:
    model = _model(config).eval()
    for rows in (0, 1, 7):
        shape = tuple(model(*sample_inputs(rows)).shape)
        require(shape == (rows,), f"{rows} rows give logits of shape {shape}, not ({rows},)")


def _branches(config: ModelConfig) -> None:
    for interactions in (("fm",), ("flat",), ("linear", "flat", "products")):
        model = _model(config.model_copy(update={"interactions": interactions})).eval()
        shape = tuple(model(*sample_inputs(7)).shape)
        require(shape == (7,), f"branches {interactions} give logits of shape {shape}, not (7,)")


def _gradients(config: ModelConfig) -> None:
    model = _model(config).train()
    with torch.no_grad():  # away from zero, where a ReLU or a product may hide a parameter
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=_generator()) * 0.1)
    model(*sample_inputs(64)).square().sum().backward()
    for name, parameter in model.named_parameters():
        reached = parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
        require(reached, f"no gradient reaches {name}")


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def _autocast(config: ModelConfig) -> None:
    model = _model(config).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(*sample_inputs(16))
    require(logits.dtype == torch.float32, f"logits under autocast are {logits.dtype}")
    require(bool(logits.isfinite().all()), "logits under bf16 autocast are not finite")


def _deterministic(config: ModelConfig) -> None:
    model = _model(config).eval()
    first, second = (model(*sample_inputs(7)) for _ in range(2))
    require(bool(torch.equal(first, second)), "two evaluations of the same rows differ")


def _round_trip(config: ModelConfig) -> None:
    model, other = _model(config).eval(), _model(config).eval()  # the seed is part of addressing
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.fill_(0.5)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, path)
        other.load_state_dict(load_file(path))
    same = torch.equal(model(*sample_inputs(7)), other(*sample_inputs(7)))
    require(same, "weights read back from a file give other logits")


def _rows_apart(config: ModelConfig) -> None:
    model: nn.Module = _model(config).eval()
    codes, numbers, bags = sample_inputs(7)
    together = model(codes, numbers, bags)
    first = int(bags[0][1][0])
    alone = model(codes[:1], numbers[:1], [(bags[0][0][:first], bags[0][1][:1])])
    require(bool(torch.allclose(together[:1], alone, atol=1e-5)), "a row's logit depends on others")


def _seeded(config: ModelConfig) -> None:
    before = torch.random.get_rng_state()
    first, second = (list(_model(config, seed=3).parameters()) for _ in range(2))
    same = all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    require(same, "the same seed gives other weights")
    require(bool(torch.equal(before, torch.random.get_rng_state())), "torch's RNG was disturbed")
