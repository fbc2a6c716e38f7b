"""One version, in one place."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

import ctrkit
from ctrkit.version import __version__

ROOT = Path(__file__).parents[1]


def test_the_project_and_the_package_have_the_same_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" not in project["project"]
    path = ROOT / project["tool"]["hatch"]["version"]["path"]
    assert f'__version__ = "{__version__}"' in path.read_text()
    assert ctrkit.__version__ == __version__ == metadata.version("ctrkit")
