"""Where to compute, and batches as tensors there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ctrkit.errors import ConfigError

if TYPE_CHECKING:
    from ctrkit.data.store.batches import Batch

Tensors = tuple[Tensor, Tensor, tuple[tuple[Tensor, Tensor], ...], Tensor, Tensor | None]


def pick_device(name: str) -> torch.device:
    """Return the device of a name; ``auto`` is CUDA where present, else the CPU.

    Raises:
        ConfigError: No such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"train.device must be auto, cpu or cuda; got {name!r}") from None
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"train.device must be auto, cpu or cuda; got {name!r}")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            f"train.device is {name!r}, but this machine has no CUDA; use auto or cpu"
        )
    return device


def to_tensors(batch: Batch, device: torch.device) -> Tensors:
    """Return ``(codes int64 (B, Fc), numbers (B, Fn), bags, label (B,), weight (B,) or None)``.

    Unsigned codes are widened: int64 holds all of them.
    """
    bags = tuple((_codes(t, device), _move(n, device)) for t, n in batch.bags)
    label = _move(np.asarray(batch.label, np.float32), device)
    weight = None if batch.weight is None else _move(batch.weight, device)
    return _codes(batch.codes, device), _move(batch.numbers, device), bags, label, weight


def split_batch(batch: Batch, size: int) -> Iterator[Batch]:
    """Yield micro-batches of at most ``size`` rows; 0: the batch whole."""
    rows = len(batch.label)
    if not size or rows <= size:
        yield batch
        return
    ends = [np.concatenate([[0], np.cumsum(n)]) for _, n in batch.bags]
    for a in range(0, rows, size):
        b = min(a + size, rows)
        bags = tuple(
            (tokens[end[a] : end[b]], lengths[a:b])
            for (tokens, lengths), end in zip(batch.bags, ends, strict=True)
        )
        yield replace(
            batch,
            codes=batch.codes[a:b],
            numbers=batch.numbers[a:b],
            bags=bags,
            label=batch.label[a:b],
            weight=None if batch.weight is None else batch.weight[a:b],
            group=None,
            row=None,
        )


def _codes(codes: np.ndarray[Any, Any], device: torch.device) -> Tensor:
    if device.type == "cpu":
        return torch.from_numpy(codes.astype(np.uint32, copy=False).astype(np.int64))
    narrow = np.ascontiguousarray(codes).view(np.int32)  # half the bytes over the bus
    return _move(narrow, device).long() & 0xFFFFFFFF


def _move(values: np.ndarray[Any, Any], device: torch.device) -> Tensor:
    values = values if values.flags.writeable else values.copy()
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    if device.type == "cpu":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)
