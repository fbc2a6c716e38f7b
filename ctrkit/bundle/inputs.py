"""From encoded rows to the tensors that ``Model.forward`` takes, for training and scoring alike."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ctrkit.data.store.batch import Batch, Encoded

Inputs = tuple[Tensor, Tensor, tuple[tuple[Tensor, Tensor], ...]]
"""``codes (B, Fc)`` int64, ``numbers (B, Fn)`` float32, bags of ``tokens (T,), lengths (B,)``."""


def model_inputs(rows: Encoded, device: torch.device) -> Inputs:
    """Move rows to a device. Unsigned codes are widened: int64 holds all of them."""
    bags = tuple((_codes(t, device), _moved(n, np.int64, device)) for t, n in rows.bags)
    return _codes(rows.codes, device), _moved(rows.numbers, np.float32, device), bags


def targets(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Move label ``(B,)`` float32 and weight ``(B,)`` or None to a device."""
    weight = None if batch.weight is None else _moved(batch.weight, np.float32, device)
    return _moved(batch.label, np.float32, device), weight


def _codes(codes: npt.NDArray[Any], device: torch.device) -> Tensor:
    if device.type == "cpu":
        return torch.from_numpy(codes.astype(np.int64, order="C"))
    narrow = np.ascontiguousarray(codes, np.uint32).view(np.int32)  # half the bytes over the bus
    return _moved(narrow, np.int32, device).long() & 0xFFFFFFFF


def _moved(values: npt.NDArray[Any], dtype: type, device: torch.device) -> Tensor:
    array: npt.NDArray[Any] = np.ascontiguousarray(values, dtype)
    if not array.flags.writeable:  # torch must never write into a read-only memory map
        array = array.copy()
    tensor = torch.from_numpy(array)
    if device.type == "cpu":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)
