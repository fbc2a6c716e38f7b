"""The leak suite on six public data sets: see ``experiments/leaks/``."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from ctrkit.testing.leaks import KINDS

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "leaks" / "run.py"
SETS = ("movielens-1m", "criteo", "avazu", "flights", "anime", "french-motor")
ROWS = 50_000


@pytest.fixture(scope="module")
def suite() -> ModuleType:
    """Import the script, which is in no package."""
    spec = importlib.util.spec_from_file_location("leak_suite", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["leak_suite"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", SETS)
def test_all_kinds_are_found_in_real_data_with_at_most_one_false_alarm(suite, shared_data, name):
    found = suite.measured(suite.load_set(name, shared_data, ROWS))
    assert len(found["clean"]["rank"]) <= 1
    assert len(found["clean"]["train"]) <= 1
    assert {
        kind: found["kinds"][kind]["flags"] for kind in KINDS if not found["kinds"][kind]["flags"]
    } == {}
    assert [kind for kind in KINDS if not found["kinds"][kind]["train"]] == []
