"""What trials, workers and later searches share: found once per content, kept in the cache."""

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
    """Give a folder that is built once for its facts, however many processes ask at once.

    Args:
        data: Says whether a cache is kept; without one, the folder passes.
        facts: Everything that determines what is in the folder.
        build: Fills an empty folder.
    """
    if not data.cache:
        with TemporaryDirectory(prefix="ctrkit-") as passing:
            build(Path(passing))
            yield Path(passing)
        return
    entry = cached(home() / "cache", cache_key(facts), build, data.cache_limit)
    try:
        yield entry.folder
    finally:
        entry.release()


def shared_value(data: DataConfig, facts: Mapping[str, Any], find: Callable[[], Any]) -> Any:
    """Return what is found once for its facts: any value that JSON holds.

    Args:
        data: Says whether a cache is kept.
        facts: Everything that determines the value.
        find: Finds it.
    """

    def build(folder: Path) -> None:
        write_atomic(folder / "value.json", json.dumps(find()))

    with shared_folder(data, facts, build) as folder:
        return json.loads((folder / "value.json").read_text(encoding="utf-8"))
