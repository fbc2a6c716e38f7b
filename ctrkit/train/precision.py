"""fp32, or bf16 in the network; ``auto`` measures which is faster."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

import torch
from torch import nn

Precision = Literal["fp32", "bf16"]
GAIN = 0.9
"""bf16 must take less than this share of fp32's time: a tie keeps the more exact format."""


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the context of a forward pass; tables and losses stay fp32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def choose_precision(
    model: nn.Module, device: torch.device, run: Callable[[str], object], clear: Callable[[], None]
) -> Precision:
    """Time forward and backward passes in both; weights, buffers and RNG keep their values.

    Args:
        model: The model that is run.
        device: The device it runs on.
        run: One forward and backward pass at a precision.
        clear: Clear the gradients.
    """
    buffers = {name: b.clone() for name, b in model.named_buffers()}
    devices = [device] if device.type == "cuda" else []
    seconds: dict[str, float] = {}
    with torch.random.fork_rng(devices=devices):
        for precision in ("fp32", "bf16"):
            run(precision)  # warm-up
            times = [_timed(device, run, precision) for _ in range(3)]
            seconds[precision] = min(times)
    clear()
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            buffer.copy_(buffers[name])
    faster = seconds["bf16"] < GAIN * seconds["fp32"]
    return "bf16" if faster else "fp32"


def _timed(device: torch.device, run: Callable[[str], object], precision: str) -> float:
    started = time.perf_counter()
    run(precision)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started
