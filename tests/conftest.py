"""What every test stands on: a home of its own, no tracking, two threads, the shared data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Read when torch and OpenMP are first imported; two cores are what CI has.
os.environ.setdefault("OMP_NUM_THREADS", "2")


@pytest.fixture(scope="session", autouse=True)
def ctrkit_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """No test touches the user's home or tracks by default; module fixtures included."""
    home = tmp_path_factory.mktemp("ctrkit-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CTRKIT_HOME", str(home))
        patch.setenv("CTRKIT_TRACKING_URI", "none")
        yield home


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets (README: CTRKIT_SHARED); skips where it is absent."""
    shared = Path(os.environ.get("CTRKIT_SHARED", ROOT.parent / "shared"))
    if not (shared / "data").is_dir():
        pytest.skip(f"no real data below {shared} (set CTRKIT_SHARED)")
    return shared / "data"
