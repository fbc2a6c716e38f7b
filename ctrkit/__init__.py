"""Click-through-rate models: which features and interactions to use, and the trained model.

``import ctrkit`` is light: a name's package is imported when the name is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctrkit.version import __version__

if TYPE_CHECKING:
    from ctrkit import jobs
    from ctrkit.bundle import load
    from ctrkit.registry import Choices, Range, head, interaction

__all__ = ["Choices", "Range", "__version__", "head", "interaction", "jobs", "load"]


def __getattr__(name: str) -> Any:
    """Import each name's module on first use: ``load`` needs torch."""
    import importlib

    if name == "jobs":
        return importlib.import_module("ctrkit.jobs")
    if name == "load":
        return importlib.import_module("ctrkit.bundle").load
    if name in ("Choices", "Range", "head", "interaction"):
        return getattr(importlib.import_module("ctrkit.registry"), name)
    raise AttributeError(f"module 'ctrkit' has no attribute {name!r}")
