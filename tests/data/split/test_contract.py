"""Every registered split keeps the contract, and the contract finds what breaks it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import pytest

from ctrkit.data.read.chunks import Chunk
from ctrkit.data.read.sources import Source
from ctrkit.data.split.base import SplitPlan
from ctrkit.registry import register, registry
from ctrkit.schema import Schema, Split
from ctrkit.testing.splits import check_split


@pytest.fixture
def temporary() -> Iterator[None]:
    """Forget what a test registers."""
    entries, components = dict(registry.entries), dict(registry.components)
    yield
    registry.entries, registry.components = entries, components


@pytest.mark.parametrize("name", registry.names("split"))
def test_every_split_keeps_the_contract(name: str) -> None:
    failed = [v for v in check_split(name) if not v.ok]
    assert failed == []


def test_options_of_a_split_keep_the_contract() -> None:
    failed = [v for v in check_split("time", Split("time", embargo=5)) if not v.ok]
    assert failed == []


@pytest.mark.usefixtures("temporary")
def test_a_new_split_is_one_class() -> None:
    @register("split", "modulo")
    @dataclass(frozen=True)
    class Modulo(SplitPlan):
        """By row number within the file."""

        @classmethod
        def decide(cls, source: Source, schema: Schema, split: Split, seed: int) -> Self:
            return cls(split)

        def assign(self, chunk: Chunk) -> npt.NDArray[np.uint8]:
            rows = chunk.first_row + np.arange(chunk.frame.height)
            return (rows % 3).astype(np.uint8)

    assert [v for v in check_split("modulo") if not v.ok] == []


@pytest.mark.usefixtures("temporary")
def test_faults_are_found() -> None:
    @register("split", "faulty")
    @dataclass(frozen=True)
    class Faulty(SplitPlan):
        """By place within the chunk, with a description that is not JSON."""

        @classmethod
        def decide(cls, source: Source, schema: Schema, split: Split, seed: int) -> Self:
            return cls(split)

        def assign(self, chunk: Chunk) -> npt.NDArray[np.uint8]:
            return (np.arange(chunk.frame.height) % 3).astype(np.uint8)

        def decisions(self) -> dict[str, object]:
            return {"bounds": (1.0, 2.0)}

    failed = {v.name for v in check_split("faulty") if not v.ok}
    assert failed == {"any chunking", "description"}
