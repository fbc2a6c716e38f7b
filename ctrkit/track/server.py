"""The application that ``ctrkit serve`` runs: MLflow's, behind a guard.

The guard bounds the bodies of requests, and answers what cannot be scored with a status of 4xx and
one sentence. MLflow's own answers hold tracebacks with the paths of the machine.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

from ctrkit.errors import CtrkitError

MODEL_PATH, MAX_BODY = "CTRKIT_SERVED_MODEL", "CTRKIT_MAX_BODY"
"""Variables that hold the folder of the model, and the largest body in bytes."""
EXPECTED = 'the body must be JSON: {"inputs": [{"column": value, ...}, ...]}'
_LONGEST = 300
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]
_refusal: ContextVar[list[str] | None] = ContextVar("refusal", default=None)


def refuse(error: Exception) -> None:
    """Note why rows could not be scored, for the answer to the request that is being served."""
    sentences = _refusal.get()
    if sentences is not None:
        sentences.append(str(error) if isinstance(error, CtrkitError) else EXPECTED)


def make_app() -> App:
    """Return the application; see :data:`MODEL_PATH` and :data:`MAX_BODY`."""
    from mlflow.pyfunc import load_model
    from mlflow.pyfunc.scoring_server import init

    return guarded(init(load_model(os.environ[MODEL_PATH])), int(os.environ[MAX_BODY]))


def guarded(app: App, max_body: int) -> App:
    """Return an ASGI application with bounded bodies and errors of one sentence.

    Args:
        app: The application; answers of its ``/invocations`` from status 400 are replaced.
        max_body: Largest body of a request, in bytes.
    """

    async def guard(scope: Message, receive: Receive, send: Send) -> None:
        with suppress(asyncio.CancelledError):  # the server stops, and would log a traceback
            await answer(scope, receive, send)

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        body = await _body(receive, max_body)
        if body is None:
            await _answer(send, 413, f"the body must have at most {max_body:,} bytes (--max-body)")
            return
        if scope["path"] != "/invocations":
            await app(scope, _replay(body, receive), send)
            return
        if not any(name == b"content-type" for name, _ in scope["headers"]):
            scope["headers"] = [*scope["headers"], (b"content-type", b"application/json")]
        sentences: list[str] = []
        token = _refusal.set(sentences)
        messages: list[Message] = []

        async def keep(message: Message) -> None:
            messages.append(message)

        try:
            await app(scope, _replay(body, receive), keep)
        except Exception:  # of MLflow's parser, which lets some bodies through to its own failure
            messages = []
        finally:
            _refusal.reset(token)
        status = messages[0]["status"] if messages else 400
        if status < 400:
            for message in messages:
                await send(message)
            return
        text = b"".join(m.get("body", b"") for m in messages)
        status = 400 if status >= 500 and status != 504 else status
        await _answer(send, status, sentences[0] if sentences else _reason(text))

    return guard


async def _body(receive: Receive, most: int) -> bytes | None:
    """Read the body of a request; None: it is too long, and the rest of it is not read."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":  # the client has gone
            return b""
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a channel that yields a body that was read, then what ``receive`` yields."""
    messages: list[Message] = [{"type": "http.request", "body": body}]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


def _reason(text: bytes) -> str:
    """Return the first line of the message in MLflow's answer, without the rows it repeats."""
    try:
        message = str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return EXPECTED
    line = message.split("\nError: ")[-1].strip().split("\n")[0].split(" Input: ")[0]
    return f"{line[:_LONGEST]}; {EXPECTED}" if line else EXPECTED


async def _answer(send: Send, status: int, sentence: str) -> None:
    body = json.dumps({"error": sentence}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
