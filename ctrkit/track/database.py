"""A tracking store in an SQLite file: made whole or not at all, and examined when it fails."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from ctrkit.errors import TrackingError
from ctrkit.files import hidden_folder, remove_abandoned

SQLITE = "sqlite"


def database_file(uri: str) -> Path | None:
    """Return the file of a store; None: the store is not an SQLite file."""
    if not uri.startswith(SQLITE):
        return None
    from sqlalchemy.engine import make_url

    name = make_url(uri).database
    return Path(name) if name and name != ":memory:" and not name.startswith("file:") else None


def make_database(path: Path, uri: str, fill: Callable[[str], object]) -> None:
    """Make the SQLite file of a store if it is not there: beside, then renamed into place.

    MLflow makes its tables in hundreds of statements; a killed process leaves none of them.

    Args:
        path: The file. An empty one is no store yet.
        uri: The store.
        fill: Makes the tables of the store with a URI.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(path.parent, path.name)
    if path.exists() and path.stat().st_size:
        return
    from sqlalchemy.engine import make_url

    with hidden_folder(path) as folder:
        made = folder / "store.db"
        url = make_url(uri).set(database=str(made.absolute()))
        fill(url.render_as_string(hide_password=False))
        if path.exists():
            made.replace(path)  # the empty file of a process that was killed while it opened it
        else:
            _rename(made, path)


def _rename(source: Path, target: Path) -> None:
    """Rename a file unless another process, with another ``CTRKIT_HOME``, made the target."""
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError:  # the file system has no hard links
        source.replace(target)


def check_database(uri: str) -> None:
    """Raise if a store in an SQLite file is broken. It reads the whole file.

    Raises:
        TrackingError: The file is no database, damaged, or lacks tables; the message names the way
            out.
    """
    path = database_file(uri)
    if path is None or not path.is_file():
        return
    fault = _fault(path)
    if fault:
        raise TrackingError(
            f"the tracking store {str(path)!r} is broken ({fault}): move this file away, and the "
            "next command makes another"
        )


def _fault(path: Path) -> str:
    """Return what is wrong with a database in a few words; empty: nothing is known to be."""
    from alembic.script import ScriptDirectory
    from mlflow.store import db

    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            state = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
            if state != "ok":
                return state.splitlines()[-1]
            tables = "SELECT name FROM sqlite_master WHERE name = 'alembic_version'"
            if connection.execute(tables).fetchone() is None:
                return "it was made by half"
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:  # locked, or not to be read
        return ""
    except sqlite3.DatabaseError as error:
        return str(error)
    migrations = ScriptDirectory(str(Path(db.__file__).parents[1] / "db_migrations"))
    newest = migrations.get_current_head()
    version = row[0] if row else "none"
    if version == newest:
        return ""
    return f"its tables are of version {version}, MLflow's are {newest}: a migration was killed"
