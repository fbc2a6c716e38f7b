"""Addresses of databases: compared, and shown without passwords."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial as FrozenTrial


def same_database(a: str, b: str) -> bool:
    """Say whether two URLs name one database, whatever the driver, user or options."""
    return _database_of(a) == _database_of(b)


def _database_of(url: str) -> tuple[str, ...]:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parts = make_url(url)
    except ArgumentError:
        return (url,)
    backend = parts.get_backend_name()
    if backend == "sqlite":
        return (backend, str(Path(parts.database or "").absolute()))
    local = parts.host in (None, "", "127.0.0.1", "::1")
    host = parts.query.get("host", "localhost" if local else parts.host)
    port = parts.port or {"postgresql": 5432, "mysql": 3306}.get(backend)
    return (backend, str(host), str(port), str(parts.database))


def hide_password(text: str) -> str:
    """Return a text in which the passwords of URLs are stars."""
    return re.sub(r"(://[^:/@\s]*):[^@\s]*@", r"\1:***@", text)
