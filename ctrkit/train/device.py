"""Where to compute."""

from __future__ import annotations

import torch

from ctrkit.errors import ConfigError


def pick_device(name: str) -> torch.device:
    """Return the device of a name; ``auto`` is CUDA where present, else the CPU.

    Raises:
        ConfigError: The name is not a device of this machine.
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
