"""Metrics in little memory against metrics of rows in memory."""

import numpy as np
import pytest

from ctrkit.errors import DataError
from ctrkit.evaluate import Scores, evaluate_scores
from ctrkit.metrics import evaluate_logits, reliability
from ctrkit.metrics.mapped import MappedColumn, mapped_empty, release
from ctrkit.metrics.sorted_rows import SortedRows


def _some_rows(kind: str) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(3)
    n = 20_000
    logit = draw.normal(-1, 1.5, n).astype(np.float32)
    label = (draw.random(n) < 1 / (1 + np.exp(-logit))).astype(np.uint8)
    if kind == "ties":
        logit = np.round(logit)
    elif kind == "one value":
        logit[:] = 0.25
    elif kind == "zeros":
        logit = np.where(draw.random(n) < 0.5, -0.0, 0.0).astype(np.float32)
    elif kind == "one class":
        label[:] = 1
    elif kind in ("none", "one row", "two rows"):
        logit, label = (a[: ("none", "one row", "two rows").index(kind)] for a in (logit, label))
    return label, logit


@pytest.fixture
def on_disk(monkeypatch):
    """Make small data take the paths of large data: blocks, files, groups in parts."""
    monkeypatch.setattr("ctrkit.metrics.sorted_rows._BLOCK", 1000)
    monkeypatch.setattr("ctrkit.metrics.mapped.IN_MEMORY_ROWS", 500)
    monkeypatch.setattr("ctrkit.evaluate.metrics._PART_ROWS", 3000)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shift", [0.0, -1.3])
@pytest.mark.parametrize(
    "kind",
    ["plain", "ties", "one value", "zeros", "one class", "none", "one row", "two rows"],
)
def test_metrics_in_little_memory_equal_those_in_memory(kind, shift, weighted, on_disk):
    label, logit = _some_rows(kind)
    draw = np.random.default_rng(4)
    weight = draw.choice([0.0, 0.5, 1.0, 3.25], len(label)).astype(np.float32)
    weight = weight if weighted else None
    group = draw.integers(0, 2**63, 97, np.uint64)[np.arange(len(label)) % 97]
    got = evaluate_scores(Scores(logit, label, weight, group), shift)
    expected = evaluate_logits(label, logit.astype(np.float64) + shift, weight, group)
    assert set(got) == set(expected)
    for name, value in expected.items():
        assert type(got[name]) in (int, float), name  # plain data: it goes into files
        assert got[name] == pytest.approx(value, rel=1e-9, abs=1e-12, nan_ok=True), name
    table = SortedRows(len(label), [(label, logit, weight)], shift).reliability()
    plain = reliability(label, logit.astype(np.float64) + shift, weight)
    for one, other in zip(table, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_nan_logits_are_errors():
    label, logit = _some_rows("plain")
    logit[5] = np.nan
    with pytest.raises(DataError, match="nan"):
        evaluate_scores(Scores(logit, label))


def test_long_arrays_are_mapped_from_a_file(on_disk):
    assert not isinstance(mapped_empty(499, np.uint64), np.memmap)
    long = mapped_empty(500, np.uint64)
    assert isinstance(long, np.memmap)
    long[:] = np.arange(500)[::-1]
    long.sort()
    np.testing.assert_array_equal(long, np.arange(500))


def test_released_pages_of_a_mapped_array_keep_their_values():
    column = MappedColumn(np.uint32)
    values = np.arange(3_000_000, dtype=np.uint32)
    for start in range(0, len(values), 100_000):
        column.add(values[start : start + 100_000])
    array = column.array()
    assert np.array_equal(array, values)
    release(array)
    release(array[5:50])
    assert np.array_equal(array, values)
    release(values)
    assert values[-1] == 2_999_999
