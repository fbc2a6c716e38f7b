"""Text files as streams of UTF-8: compression and UTF-16 are recognised by the first bytes."""

from __future__ import annotations

import codecs

import pyarrow as pa

_COMPRESSIONS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_CR = ord("\r")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def open_text(path: str, encoding: str) -> pa.NativeFile:
    """Open a text file as UTF-8, whole line breaks in every piece that is read.

    Args:
        path: The file.
        encoding: Its encoding; utf-8 gives way to a byte order mark of UTF-16.
    """
    stream = _decompressed(path)
    if codecs.lookup(encoding).name == "utf-8":
        with _decompressed(path) as head:
            encoding = "utf-16" if head.read(2) in _UTF_16 else "utf-8"
    if codecs.lookup(encoding).name != "utf-8":
        stream = pa.transcoding_input_stream(stream, encoding, "utf-8")
    return pa.PythonFile(_WholeLineBreaks(stream), mode="r")


def _decompressed(path: str) -> pa.NativeFile:
    with open(path, "rb") as file:
        start = file.read(4)
    compression = next((c for magic, c in _COMPRESSIONS.items() if start.startswith(magic)), None)
    return pa.input_stream(path, compression=compression)


class _WholeLineBreaks:
    r"""A stream whose pieces never end between ``\r`` and ``\n``.

    Arrow's reader drops a ``\n`` at the start of a block whose predecessor ended in ``\r``, even
    within quotes.
    """

    def __init__(self, stream: pa.NativeFile) -> None:
        self._stream = stream
        self._held = b""

    def read_buffer(self, size: int) -> pa.Buffer:
        """Return at most ``size`` bytes; none at the end."""
        data = self._stream.read_buffer(size - len(self._held))
        if self._held:
            data, self._held = pa.py_buffer(self._held + data.to_pybytes()), b""
        if data.size > 1 and data[data.size - 1] == _CR:
            after: bytes = self._stream.read(1)
            if after:
                self._held, data = b"\r" + after, data.slice(0, data.size - 1)
        return data

    def read(self, size: int) -> bytes:
        """Return at most ``size`` bytes; none at the end."""
        data: bytes = self.read_buffer(size).to_pybytes()
        return data

    def readable(self) -> bool:
        """Return that it can be read."""
        return True

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return bool(self._stream.closed)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
