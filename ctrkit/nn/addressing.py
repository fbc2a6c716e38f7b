"""Hashed addressing in int64 tensors, on device: the same rows as ``ctrkit.data.hashing`` gives.

A code finds its row by ``splitmix64(code XOR salt) mod R``, so the number of rows and what shares
them are choices of the model and never of the encoding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def signed_tensor(numbers: Sequence[int]) -> Tensor:
    """Return unsigned 64-bit integers as int64 with the same bits."""
    signed = [n - 2**64 if n >= 2**63 else n for n in numbers]
    return torch.tensor(signed, dtype=torch.int64)


def splitmix64(z: Tensor) -> Tensor:
    """Mix 64 bits (Steele, Lea, Flood, OOPSLA 2014); int64 holds the bits of an uint64."""
    z = z + (0x9E3779B97F4A7C15 - 2**64)
    z = (z ^ _shift(z, 30)) * (0xBF58476D1CE4E5B9 - 2**64)
    z = (z ^ _shift(z, 27)) * (0x94D049BB133111EB - 2**64)
    return z ^ _shift(z, 31)


def unsigned_mod(z: Tensor, modulus: Tensor) -> Tensor:
    """Return ``z mod modulus``, where int64 ``z`` holds the bits of an uint64."""
    half = _shift(z, 1) % modulus
    return (half * 2 + (z & 1)) % modulus


def _shift(z: Tensor, by: int) -> Tensor:
    """Shift right without copying the sign."""
    return (z >> by) & ((1 << (64 - by)) - 1)
