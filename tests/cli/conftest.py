"""What the tests of the command line share: running it in this process, and a small data set."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import FAST, Result

from ctrkit.cli import main
from ctrkit.testing.generated import planted_clicks


@pytest.fixture
def ctrkit(monkeypatch, capsys) -> Callable[..., Result]:
    """Run the command line in this process."""

    def run(*args: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["ctrkit", *map(str, args)])
        with pytest.raises(SystemExit) as stop:
            main()
        return Result(int(stop.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture(scope="session")
def clicks(tmp_path_factory) -> Path:
    """3,000 rows with planted effects; the label is ``click``."""
    frame, _ = planted_clicks(3_000, seed=1)
    path = tmp_path_factory.mktemp("clicks") / "clicks.parquet"
    frame.write_parquet(path)
    return path


@pytest.fixture(scope="session")
def run_folder(clicks, tmp_path_factory) -> Path:
    """A finished run of logistic regression on the clicks."""
    from ctrkit import jobs

    overrides = [text.removeprefix("--set=") for text in FAST]
    folder = tmp_path_factory.mktemp("runs") / "run"
    return jobs.train(clicks, label="click", model="lr", out=folder, set=overrides).folder
