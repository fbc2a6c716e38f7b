"""Judging in little memory against the plain path."""

import numpy as np
import pytest

from ctrkit.errors import DataError
from ctrkit.evaluate import Scores, judge
from ctrkit.metrics import evaluate_logits, reliability
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


@pytest.mark.parametrize("shift", [0.0, -1.3])
@pytest.mark.parametrize(
    "kind",
    ["plain", "ties", "one value", "zeros", "one class", "none", "one row", "two rows"],
)
def test_judging_in_little_memory_is_the_plain_path(kind, shift, monkeypatch):
    monkeypatch.setattr("ctrkit.metrics.sorted_rows._BLOCK", 1000)
    label, logit = _some_rows(kind)
    group = (np.arange(len(label)) % 7).astype(np.uint64)
    got = judge(Scores(logit, label, group=group), shift)
    expected = evaluate_logits(label, logit.astype(np.float64) + shift, None, group)
    assert set(got) == set(expected)
    for name, value in expected.items():
        assert got[name] == pytest.approx(value, rel=1e-9, abs=1e-12, nan_ok=True), name
    table = SortedRows(label, logit, shift).reliability()
    plain = reliability(label, logit.astype(np.float64) + shift)
    for one, other in zip(table, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_judging_refuses_nan_and_takes_weights():
    label, logit = _some_rows("plain")
    weight = np.linspace(0, 2, len(label)).astype(np.float32)
    assert judge(Scores(logit, label, weight)) == evaluate_logits(
        label, logit.astype(np.float64), weight
    )
    logit[5] = np.nan
    with pytest.raises(DataError, match="nan"):
        judge(Scores(logit, label))
