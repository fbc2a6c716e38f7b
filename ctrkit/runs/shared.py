"""Results that trials, workers and later searches share: computed once, kept in the cache."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ctrkit.data.store.cache import cache_key, cached, home
from ctrkit.files import write_atomic

if TYPE_CHECKING:
    from ctrkit.config.sections import DataConfig


@contextmanager
def shared_folder(
    data: DataConfig, facts: Mapping[str, Any], build: Callable[[Path], None]
) -> Iterator[Path]:
    """Give a folder that is built once for its facts, however many processes ask for it.

    Args:
        data: States whether there is a cache; without one, the folder is temporary.
        facts: Everything that determines the contents of the folder.
        build: Fills an empty folder.
    """
    if not data.cache:
        with TemporaryDirectory(prefix="ctrkit-") as temporary:
            build(Path(temporary))
            yield Path(temporary)
        return
    entry = cached(home() / "cache", cache_key(facts), build, data.cache_limit)
    try:
        yield entry.folder
    finally:
        entry.release()


def shared_value(data: DataConfig, facts: Mapping[str, Any], compute: Callable[[], Any]) -> Any:
    """Return a value that is computed once for its facts: any that JSON holds.

    Args:
        data: States whether there is a cache.
        facts: Everything that determines the value.
        compute: Computes the value.
    """

    def build(folder: Path) -> None:
        write_atomic(folder / "value.json", json.dumps(compute()))

    with shared_folder(data, facts, build) as folder:
        return json.loads((folder / "value.json").read_text(encoding="utf-8"))
