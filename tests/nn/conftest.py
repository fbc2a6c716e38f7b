"""What the tests of layers share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

STEPS = 20
"""Points on the line: enough for a degree of 16."""


@pytest.fixture
def degree() -> Callable[[nn.Module, int, int], int]:
    """Return a function that measures the degree of a layer that is a polynomial of its input.

    Along a random line the layer is sampled at equally spaced points; the degree is the largest
    order whose finite difference is not zero. Weights are drawn anew, in float64.
    """

    def measure(layer: nn.Module, fields: int, dim: int) -> int:
        draw = torch.Generator().manual_seed(0)
        layer = layer.double().eval()
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.normal_(generator=draw)
            start, slope = torch.randn(2, fields, dim, generator=draw, dtype=torch.float64)
            at = torch.arange(STEPS, dtype=torch.float64).view(-1, 1, 1)
            values = layer(start + at * slope)  # (STEPS, O)
        values = values / values.abs().amax()
        sizes = [values.diff(n=order, dim=0).abs().amax() for order in range(STEPS)]
        return max(order for order, size in enumerate(sizes) if size > 1e-9)

    return measure
