"""One stable hash of values: xxhash64 of the canonical text, and the mixing that tables use.

The hash depends neither on a library's own ``hash()`` nor on the platform or the process, so that
codes stay valid.
"""

from __future__ import annotations

import struct

import numpy as np
import numpy.typing as npt
import polars as pl
import polars_hash as plh

_MASK = (1 << 64) - 1
_P1, _P2, _P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
_P4, _P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def stable_hash(values: pl.Series, seed: int = 0) -> pl.Series:
    """Hash text by xxhash64.

    Args:
        values: (n,) text, see :func:`ctrkit.data.columns.text.canonical`.
        seed: Seed of the hash.

    Returns:
        (n,) UInt64; a null stays null.
    """
    assert values.dtype == pl.String, f"stable_hash takes text, got {values.dtype}"
    frame = values.alias("v").to_frame()  # the name of a column may look like a pattern
    hashes = frame.select(plh.col("v").nchash.xxhash64(seed=seed)).to_series()
    return hashes.alias(values.name)


def _rotate(x: int, bits: int) -> int:
    return ((x << bits) | (x >> (64 - bits))) & _MASK


def _round(accumulator: int, lane: int) -> int:
    return _rotate((accumulator + lane * _P2) & _MASK, 31) * _P1 & _MASK


def _stripes(text: bytes, seed: int) -> tuple[int, int]:
    """Consume whole 32-byte stripes; return the hash so far and the bytes consumed."""
    if len(text) < 32:
        return (seed + _P5) & _MASK, 0
    lanes = [(seed + offset) & _MASK for offset in (_P1 + _P2, _P2, 0, -_P1)]
    end = len(text) // 32 * 32
    for start in range(0, end, 32):
        words = struct.unpack_from("<4Q", text, start)
        lanes = [_round(lane, word) for lane, word in zip(lanes, words, strict=True)]
    total = sum(_rotate(x, bits) for x, bits in zip(lanes, (1, 7, 12, 18), strict=True)) & _MASK
    for lane in lanes:
        total = ((total ^ _round(0, lane)) * _P1 + _P4) & _MASK
    return total, end


def xxhash64(text: bytes, seed: int = 0) -> int:
    """Hash one byte string by xxhash64 (XXH64 of the xxHash specification, version 0.1.1).

    Example:
        >>> hex(xxhash64(b""))
        '0xef46db3751d8e999'
    """
    h, at = _stripes(text, seed)
    h = (h + len(text)) & _MASK
    while at + 8 <= len(text):
        h ^= _round(0, int.from_bytes(text[at : at + 8], "little"))
        h = (_rotate(h, 27) * _P1 + _P4) & _MASK
        at += 8
    if at + 4 <= len(text):
        h ^= int.from_bytes(text[at : at + 4], "little") * _P1 & _MASK
        h = (_rotate(h, 23) * _P2 + _P3) & _MASK
        at += 4
    for byte in text[at:]:
        h = _rotate(h ^ (byte * _P5 & _MASK), 11) * _P1 & _MASK
    h = (h ^ (h >> 33)) * _P2 & _MASK
    h = (h ^ (h >> 29)) * _P3 & _MASK
    return h ^ (h >> 32)


def splitmix64(z: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Mix 64-bit integers (Steele, Lea, Flood 2014): one step of SplitMix64 from state ``z``.

    Args:
        z: uint64 of any shape.

    Returns:
        uint64 of the same shape; a bijection.
    """
    z = np.asarray(z, np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def field_salt(name: str, seed: int, lookup: int) -> int:
    """Return the salt of a field's look-up: xxhash64 of name, a zero byte, seed, look-up.

    Seed and look-up are unsigned 32-bit little-endian integers.
    """
    return xxhash64(name.encode() + b"\0" + struct.pack("<II", seed, lookup))


def pair_salt(first: str, second: str, seed: int) -> int:
    """Return the salt of the crosses of two fields, given in layout order."""
    return field_salt(f"{first}\0{second}", seed, 0)


def fold(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint32]:
    """Fold 64-bit hashes to codes ``3 + (h mod (2**32 - 3))``: 0, 1, 2 stay reserved.

    Args:
        hashes: uint64 of any shape.

    Returns:
        uint32 of the same shape, in 3..2**32-1.
    """
    hashes = np.asarray(hashes, np.uint64)
    rest = pl.Series(hashes.reshape(-1)) % (2**32 - 3)  # twice as fast as NumPy's
    codes = rest.to_numpy().astype(np.uint32)
    codes += np.uint32(3)
    return codes.reshape(hashes.shape)
