"""What the tests of the command line share besides fixtures."""

from __future__ import annotations

from typing import NamedTuple

FAST = (
    "--set=train.epochs=1",
    "--set=train.batch_size=512",
    "--set=train.evals_per_epoch=1",
)
"""Options of a training that takes a second."""


class Result(NamedTuple):
    """What a command left."""

    code: int
    out: str
    err: str


def fails_in_one_line(result: Result, *words: str) -> None:
    """Exit code 2, nothing on stdout, and one line on stderr that holds the words."""
    assert result.code == 2, result
    assert result.out == ""
    assert len(result.err.strip().splitlines()) == 1, result.err
    assert result.err.startswith("error: ")
    assert "Traceback" not in result.err
    for word in words:
        assert word in result.err
