"""Text from data and folders, without characters that move a cursor, reorder or hide text."""

from __future__ import annotations

import re

_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff"
    "\ud800-\udfff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""Control and format characters but for tab and line feed; halves of surrogate pairs."""


def printable(text: str) -> str:
    r"""Return text with its control characters written as escapes; line feeds stay.

    Example:
        >>> printable("a\x1b[31mb")
        'a\\x1b[31mb'
    """
    return _CONTROL.sub(_python_escape, text)


def one_line(text: str) -> str:
    """Return :func:`printable` text on one line."""
    return printable(re.sub(r"\s*\n\s*", " ", text))


def printable_json(text: str) -> str:
    """Return JSON text with the control characters in its strings escaped."""
    return _CONTROL.sub(_json_escape, text)


def _python_escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 256:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"


def _json_escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 65536:
        return f"\\u{code:04x}"
    code -= 65536
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
