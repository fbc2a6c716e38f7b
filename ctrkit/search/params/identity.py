"""What makes a search the same search: in its folder, and in a database shared by machines."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from ctrkit.config.sections import FilePath, Section, with_first_names
from ctrkit.data.read.sources import Source
from ctrkit.data.store.cache import cache_key
from ctrkit.errors import ConfigError
from ctrkit.schema import Schema
from ctrkit.search.params.config import ParamsConfig
from ctrkit.search.params.storage import same_database
from ctrkit.secrets import redact_address
from ctrkit.track import tracking_uri

FORMAT = 1
SectionT = TypeVar("SectionT", bound=Section)
ELASTIC = (
    "trials",
    "timeout",
    "jobs",
    "threads",
    "storage",
    "retries",
    "heartbeat",
    "grace",
    "keep",
)
"""Keys of ``[search]`` that may differ when a search is resumed or joined."""
LOCAL = ("path", "schema", "encoder")
"""Keys of ``[data]`` that differ between machines."""


def search_identity(config: ParamsConfig, schema: Schema, source: Source) -> dict[str, object]:
    """Return the identity of a search in a folder; limits and number of workers are left out.

    Args:
        config: The resolved configuration.
        schema: What the columns mean.
        source: The raw rows.
    """
    data = config.identity()
    data["search"] = {k: v for k, v in data["search"].items() if k not in ELASTIC}
    return {
        "format": FORMAT,
        "kind": "params",
        "config": data,
        "schema": schema.to_toml(),
        "source": source.fingerprint(),
    }


def study_name(config: ParamsConfig, schema: Schema, source: Source) -> str:
    """Return the name of a search's study, the same on every machine that runs the search.

    Folders, times of files and resolved defaults are left out.

    Args:
        config: The configuration as given.
        schema: What the columns mean.
        source: The raw rows.
    """
    data = config.model_dump(
        mode="json", by_alias=True, exclude_unset=True, exclude={"track", "plugins"}
    )
    for section, names in (("data", LOCAL), ("search", ELASTIC)):
        data[section] = {k: v for k, v in data.get(section, {}).items() if k not in names}
    if "init" in data.get("train", {}):
        data["train"]["init"] = Path(str(data["train"]["init"])).name
    facts = {
        "format": FORMAT,
        "config": with_first_names(data),
        "rows": source.likeness(),
        "schema": schema.to_toml(),
    }
    return f"ctrkit-{digest(facts)}"


def digest(data: Mapping[str, Any]) -> str:
    """Return a short name for plain data."""
    return cache_key(data)[:16]


def storage_url(config: ParamsConfig) -> str | None:
    """Return the address of Optuna's database; None: a journal file in the search folder.

    Raises:
        ConfigError: It is the database of the tracking store.
    """
    url = config.search.storage or os.environ.get("CTRKIT_SEARCH_STORAGE")
    tracked = tracking_uri(config.track)
    if url and tracked and same_database(url, tracked):
        raise ConfigError(
            f"search.storage and the tracking store must not be one database "
            f"({redact_address(url)}): Optuna and MLflow need one each"
        )
    return url


def with_absolute_paths(section: SectionT) -> SectionT:
    """Return a section, or a whole configuration, whose paths mean the same from any folder."""
    update: dict[str, object] = {}
    for name in section.model_fields_set:
        value, field = getattr(section, name), type(section).model_fields[name]
        if isinstance(value, Section):
            update[name] = with_absolute_paths(value)
        for mark in field.metadata:
            if isinstance(mark, FilePath) and isinstance(value, str):
                update[name] = mark.resolve(value, Path.cwd())
            elif isinstance(mark, FilePath) and isinstance(value, tuple):
                update[name] = tuple(mark.resolve(path, Path.cwd()) for path in value)
    return section.model_copy(update=update)
