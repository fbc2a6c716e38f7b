"""Addresses without their passwords and tokens: what is written, logged and shown.

The whole address stays in memory and in the environment of child processes. A password may hold
``@``, ``/``, ``?`` and ``%``, whether or not they are percent-encoded: where it is unclear what
belongs to it, more is hidden.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote

HIDDEN = "***"
"""What stands for a password."""
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S*[^\s'\")\]},;.:]")
_PARAMETER = re.compile(r"(?<=[?&;])([^=&;\s]+)=([^&]*)")
_SECRET_NAME = re.compile(
    r"pass|pwd|secret|token|credential|signature|(api|access|account|shared).?key|odbc_connect"
    r"|^(key|sig|auth|code)$",
    re.IGNORECASE,
)
_WEB = ("http", "https", "ws", "wss", "hdfs")
"""Schemes whose user info ends before the first slash, which databases do not insist on."""
_HIDDEN_IN = re.compile(rf"(//|:|=){re.escape(HIDDEN)}(@|&|$)")
_PIECE = 3
"""Characters from which a piece of a password is hidden in messages."""


def redact_address(address: str) -> str:
    """Return an address with its password, and what looks like a token, replaced by ``***``.

    Text that is no address, and an address without secrets, is returned as it is.

    Example:
        >>> redact_address("postgresql://me:p@ss/w%rd@db:5432/clicks?sslpassword=x&a=1")
        'postgresql://me:***@db:5432/clicks?sslpassword=***&a=1'
    """
    scheme, mark, rest = address.partition("://")
    if not mark:
        return address
    rest = _PARAMETER.sub(_redact_parameter, rest)
    start, end = _password(scheme, rest)
    if end:
        rest = f"{rest[:start]}{HIDDEN}{rest[end:]}"
    return f"{scheme}://{rest}"


def redact(text: str, *addresses: str) -> str:
    """Return a text, such as an error message, without the secrets in the addresses in it.

    Args:
        text: Any text.
        *addresses: What the text is about: libraries that cannot read an address repeat parts of
            it, so pieces of its password are hidden, too.
    """
    for address in addresses:
        text = text.replace(address, redact_address(address))
        for piece in sorted(set(_pieces(address)), key=len, reverse=True):
            text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(piece)}(?![A-Za-z0-9])", HIDDEN, text)
    return _ADDRESS.sub(lambda match: redact_address(match[0]), text) if "://" in text else text


def is_redacted(address: str) -> bool:
    """Return whether a secret of an address was replaced."""
    return "://" in address and _HIDDEN_IN.search(address) is not None


def _redact_parameter(match: re.Match[str]) -> str:
    secret = match[2] and _SECRET_NAME.search(unquote(match[1]))
    return f"{match[1]}={HIDDEN}" if secret else match[0]


def _password(scheme: str, rest: str) -> tuple[int, int]:
    """Return where the password of an address begins and ends, after its scheme; 0, 0: none."""
    user, colon, after = rest.partition(":")
    web = scheme.lower() in _WEB
    ported = web and re.match(r"\d*([/?#]|$)", after)  # host:port
    if colon and not re.search(r"[/?#\[]", user) and not ported:
        head = after.split("?")[0]
        end = (head if "@" in head else after).rfind("@")
        if end >= 0:
            return len(user) + 1, len(user) + 1 + end
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    return (0, authority.rfind("@")) if web and "@" in authority else (0, 0)


def _pieces(address: str) -> Iterator[str]:
    """Yield the secrets of an address, and the parts that a reader could split them into."""
    scheme, mark, rest = address.partition("://")
    if not mark:
        return
    start, end = _password(scheme, _PARAMETER.sub(_redact_parameter, rest))
    secrets = [m[2] for m in _PARAMETER.finditer(rest) if _redact_parameter(m) != m[0]]
    secrets += [rest[start:end]] if end else []
    for secret in secrets:
        for text in {secret, unquote(secret)} - {"", HIDDEN}:
            yield text
            yield from (p for p in re.split(r"[^\w.~!$*+-]+", text) if len(p) >= _PIECE)
