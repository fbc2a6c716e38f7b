"""The version of a file: what differs once its content does."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Sequence

from ctrkit.data.read.options import is_remote

_TIMEOUT_S = 10.0
Version = Sequence[str | int]


def file_version(path: str) -> Version | None:
    """Return what differs once the content of a file does; None: nothing is known to.

    Of a local file, its size and times: the time of its last change too, which neither ``cp -p``
    nor ``touch`` restores. Of an address, what its server states.
    """
    if not is_remote(path):
        state = os.stat(path)
        return [state.st_size, state.st_mtime_ns, state.st_ctime_ns]
    try:
        return _of_page(path) if path.startswith(("http:", "https:")) else _of_object(path)
    except Exception:  # whatever a store raises: reading it says what is wrong
        return None


def _of_page(address: str) -> Version | None:
    request = urllib.request.Request(address, method="HEAD")
    with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
        tags = [answer.headers.get(name) or "" for name in ("ETag", "Last-Modified")]
        return [*tags, answer.headers.get("Content-Length") or ""] if any(tags) else None


def _of_object(address: str) -> Version | None:
    from pyarrow import fs

    store, path = fs.FileSystem.from_uri(address)
    info = store.get_file_info(path)
    if not info.is_file or info.mtime_ns is None:
        return None
    return [info.size, info.mtime_ns]
