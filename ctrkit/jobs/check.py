"""``ctrkit check``: the contract suite on a plug-in."""

from __future__ import annotations

from pathlib import Path

from ctrkit.registry import load_plugin, registry
from ctrkit.runs.inputs import PathLike
from ctrkit.testing.contracts import Verdict, check_interaction


def check(file: PathLike) -> list[Verdict]:
    """Run the contract suite on every component of a plug-in file; return the verdicts."""
    entry = load_plugin(Path(file))
    added = [e for e in registry if e.module == entry.module]
    return [verdict for e in added for verdict in check_interaction(e.name)]
