"""What a configuration file may not decide alone: code that is run, and stores that are written.

A file may have come with a folder from someone else. Its plug-ins need the user's consent.
Where runs are tracked and trials are kept is chosen by the user: by an option, in the environment,
or in a file of their own, but not in a file that ctrkit writes, or that lies in a job's folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ctrkit.errors import ConfigError
from ctrkit.registry import is_loaded
from ctrkit.secrets import is_redacted, redact_address

STORES = {
    "track.uri": "CTRKIT_TRACKING_URI",
    "search.storage": "CTRKIT_SEARCH_STORAGE",
    "params.storage": "CTRKIT_SEARCH_STORAGE",
}
"""Key of a store -> the environment variable that names it."""
NO_STORE = "none"
_WRITTEN = ("config.json", "run.toml")
_OF_A_JOB = ("config.json", "search.json", "record.json", "rank.json")
"""Files that only the folder of a job has."""


def take_stores(data: dict[str, Any]) -> dict[str, str]:
    """Remove the stores from nested tables, in place; return them by key.

    The value that means no store stays, and so does one that is no text, which is invalid.
    """
    stores = {}
    for key in STORES:
        section, name = key.split(".")
        table = data.get(section)
        value = table.get(name) if isinstance(table, dict) else None
        if isinstance(table, dict) and isinstance(value, str) and value != NO_STORE:
            stores[key] = table.pop(name)
            if not table:
                del data[section]
    return stores


def settle_addresses(data: dict[str, Any], stores: Mapping[str, str], path: Path) -> None:
    """Put the stores that a file may choose back, in place, unless the user chose others.

    Args:
        data: The file's tables, with the user's options on top.
        stores: What :func:`take_stores` took from the file.
        path: The file.

    Raises:
        ConfigError: The file may not choose the store and the user did not, or an address has no
            password any more.
    """
    for key, store in stores.items():
        section, name = key.split(".")
        table = data.setdefault(section, {})
        if not isinstance(table, dict) or table.get(name) is not None:
            continue
        named = os.environ.get(STORES[key])
        way_out = f"name it with --set {key}=ADDRESS or {STORES[key]}"
        if named and (redact_address(named) == store or _of_a_job(path)):
            continue
        if is_redacted(store):
            raise ConfigError(f"{path} has {key} = {store!r} without its password; {way_out}")
        if _of_a_job(path):
            raise ConfigError(
                f"{path} names the store {key} = {store!r}, which a file in the folder of a job "
                f"cannot choose; {way_out}"
            )
        table[name] = store
    rows = data.get("data")
    address = rows.get("path") if isinstance(rows, dict) else None
    if isinstance(address, str) and is_redacted(address):
        raise ConfigError(
            f"{path} has data.path = {address!r} without its password; name it with "
            "--set data.path=ADDRESS"
        )


def check_plugins(plugins: Sequence[Path], path: Path) -> None:
    """Ask for consent to the plug-ins that a file names; those that were imported have it.

    Raises:
        ConfigError: There are others.
    """
    new = [plugin for plugin in plugins if not is_loaded(plugin)]
    if new:
        raise ConfigError(
            f"{path} names plug-in code ({', '.join(map(str, new))}); read it, then allow it with "
            "--trust-plugins (trust_plugins=True), or name it with --plugin"
        )


def _of_a_job(path: Path) -> bool:
    """Return whether a configuration file is one that ctrkit wrote, or lies where it writes."""
    file = path.resolve()
    folders = (file.parent, file.parent.parent)
    return file.name in _WRITTEN or any((f / n).is_file() for f in folders for n in _OF_A_JOB)
