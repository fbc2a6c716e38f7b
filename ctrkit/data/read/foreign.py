"""Files that are no data, or of a format that is not read, recognised by their first bytes."""

from __future__ import annotations

import codecs
import re

from ctrkit.errors import DataError

READ = "csv, tsv or txt (also .gz, .zst), parquet or Arrow"
_MAGIC = {
    b"PAR1": "a parquet file",
    b"ARROW1": "an Arrow file",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a zip file (an Excel workbook is one, too)",
    b"\xd0\xcf\x11\xe0": "an old Excel or Office file",
    b"SQLite format 3": "an SQLite database",
    b"\x89HDF": "an HDF5 file",
    b"\x7fELF": "a program",
    b"BZh": "compressed by bzip2",
    b"\xfd7zXZ": "compressed by xz",
    b"7z\xbc\xaf": "a 7z file",
    b"Obj\x01": "an Avro file",
    b"ORC": "an ORC file",
    b"\x80\x04\x95": "a Python pickle",
    b"\x80\x05\x95": "a Python pickle",
    b"\x93NUMPY": "a NumPy array",
}
_TEXT = {
    re.compile(rb"\s*<(!doctype|html|\?xml)", re.IGNORECASE): "an HTML or XML page",
    re.compile(rb'\s*(\[\s*)?\{\s*"[^"]*"\s*:'): "JSON",
}


def check_start(path: str, start: bytes) -> None:
    """Refuse a file that should be text and is not.

    Args:
        path: The file, for the message.
        start: Its first bytes, uncompressed; not of UTF-16.

    Raises:
        DataError: The file is of another format.
    """
    kind = next((kind for magic, kind in _MAGIC.items() if start.startswith(magic)), "")
    kind = kind or next((kind for text, kind in _TEXT.items() if text.match(start)), "")
    if not kind and b"\x00" in start:
        if start.count(b"\x00") > len(start) // 4:
            raise DataError(
                f"{path} looks like UTF-16 without a byte order mark; try --set "
                "data.text_encoding=utf-16-le"
            )
        try:
            codecs.getincrementaldecoder("utf-8")().decode(start)
        except UnicodeDecodeError:
            kind = "a binary file"
    if kind:
        raise DataError(f"{path} is {kind}; data must be {READ}: convert it, or name it so")
