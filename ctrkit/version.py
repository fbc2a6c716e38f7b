"""The version: pyproject.toml reads it here, and so does everything that records it."""

__version__ = "0.1.0"
