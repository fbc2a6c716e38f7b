"""From numpy arrays of the data room to the tensors that ``Model.forward`` takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ctrkit.data.encode.encoder import Encoded

Inputs = tuple[Tensor, Tensor, tuple[tuple[Tensor, Tensor], ...]]
"""``codes (B, Fc)`` int64, ``numbers (B, Fn)`` float32, bags of ``tokens (T,), lengths (B,)``."""


def model_inputs(
    codes: npt.NDArray[Any],
    numbers: npt.NDArray[Any],
    bags: Sequence[tuple[npt.NDArray[Any], npt.NDArray[Any]]],
    device: torch.device,
) -> Inputs:
    """Move arrays to a device; the bags are ``(tokens (T,), lengths (B,))``."""
    return (
        _tensor(codes, np.int64, device),
        _tensor(numbers, np.float32, device),
        tuple((_tensor(t, np.int64, device), _tensor(n, np.int64, device)) for t, n in bags),
    )


def slice_inputs(encoded: Encoded, start: int, stop: int, device: torch.device) -> Inputs:
    """Return the rows ``start..stop`` of encoded rows as tensors."""
    bags = [
        (tokens[offsets[start] : offsets[stop]], np.diff(offsets[start : stop + 1]))
        for tokens, offsets in encoded.bags
    ]
    return model_inputs(encoded.codes[start:stop], encoded.numbers[start:stop], bags, device)


def _tensor(array: npt.NDArray[Any], dtype: type, device: torch.device) -> Tensor:
    # The copy keeps torch from ever writing into a read-only memory map.
    return torch.from_numpy(np.array(array, dtype=dtype, order="C")).to(device)
