"""ctrkit: which features and interactions earn their place in a click model, and the model.

``import ctrkit`` is light; the rooms below are imported when they are used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ctrkit.registry import Range, head, interaction

if TYPE_CHECKING:
    from ctrkit import jobs
    from ctrkit.bundle import load

__version__ = "0.1.0"
__all__ = ["Range", "__version__", "head", "interaction", "jobs", "load"]


def __getattr__(name: str) -> Any:
    """Import ``jobs`` and ``load`` on first use: they need torch."""
    if name == "jobs":
        import importlib

        return importlib.import_module("ctrkit.jobs")
    if name == "load":
        from ctrkit.bundle import load

        return load
    raise AttributeError(f"module 'ctrkit' has no attribute {name!r}")
