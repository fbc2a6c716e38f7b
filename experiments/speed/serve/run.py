"""Attack ``ctrkit serve``: many clients at once, a third of whose requests are malformed.

    python experiments/speed/serve/run.py

Trains a model on generated clicks, serves it, and sends requests from 64 clients for a minute.
Every good answer must hold the scores of ``ctrkit predict``, every bad request must get a status of
4xx and one sentence, and the server must end within 5 seconds of SIGTERM; else the exit code is 1.
Writes ``report.json`` and ``report.md`` next to this file, or to ``--out``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl

from ctrkit import jobs
from ctrkit.testing.generated import planted_clicks

HERE = Path(__file__).parent
MAX_BODY = 100_000
TOLERANCE = 1e-6
"""Largest difference of a probability: the width of a batch changes the order of additions."""
GOOD = "good"


@dataclass(frozen=True)
class Request:
    """A request and what must answer it.

    Attributes:
        kind: ``good``, or what is wrong with it.
        body: The body.
        scores: The probabilities of a good request.
        headers: Further headers.
        line: Method and path.
        sent: Bytes of the body that are sent before the client leaves; None: all.
    """

    kind: str
    body: bytes
    scores: tuple[float, ...] = ()
    headers: str = "Content-Type: application/json\r\n"
    line: str = "POST /invocations"
    sent: int | None = None


@dataclass
class Tally:
    """What the clients saw."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    statuses: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def note(self, request: Request, status: int, body: bytes, seconds: float) -> None:
        """Note an answer; a fault is one that the request must not get."""
        self.seconds.setdefault(request.kind, []).append(seconds)
        self.statuses[f"{request.kind}: {status}"] += 1
        fault = _fault(request, status, body)
        if fault:
            self.faults.append(f"{request.kind}: {fault}")


def _fault(request: Request, status: int, body: bytes) -> str:
    if request.kind == GOOD:
        if status != 200:
            return f"status {status}: {body[:200]!r}"
        scores = json.loads(body)["predictions"]
        if len(scores) != len(request.scores):
            return f"{len(scores)} scores for {len(request.scores)} rows"
        wrong = np.abs(np.subtract(scores, request.scores)).max(initial=0.0)
        return f"a score differs by {wrong}" if not wrong <= TOLERANCE else ""
    if not 400 <= status < 500:
        return f"status {status}: {body[:200]!r}"
    if request.line.startswith("GET"):
        return ""
    answer = json.loads(body)
    if list(answer) != ["error"] or "\n" in answer["error"] or len(answer["error"]) > 600:
        return f"no single sentence: {body[:200]!r}"
    shown = [
        w for w in ("Traceback", 'File "', "site-packages", str(Path.cwd())) if w in str(answer)
    ]
    return f"shows {shown[0]}" if shown else ""


def good_requests(rows: list[dict[str, object]], scores: list[float], count: int) -> list[Request]:
    """Return requests of 1 to 16 rows; half of the missing values are left out of them.

    Args:
        rows: Rows to choose from.
        scores: What ``ctrkit predict`` gives for them.
        count: Number of requests.
    """
    draw = random.Random(0)
    requests = []
    for _ in range(count):
        chosen = draw.sample(range(len(rows)), draw.choice((1, 1, 2, 4, 16)))
        sent = [
            {k: v for k, v in rows[i].items() if v is not None or draw.random() < 0.5}
            for i in chosen
        ]
        body = json.dumps({"inputs": sent}).encode()
        requests.append(Request(GOOD, body, tuple(scores[i] for i in chosen)))
    return requests


def bad_requests(rows: list[dict[str, object]], number: str) -> list[Request]:
    """Return requests that cannot be scored.

    Args:
        rows: Rows that can be.
        number: Name of a column of numbers.
    """
    good = json.dumps({"inputs": rows[:4]}).encode()

    def with_row(**values: object) -> bytes:
        return json.dumps({"inputs": [rows[0], {**rows[1], **values}]}).encode()

    plain = {
        "no body": b"",
        "no JSON": b"{",
        "cut JSON": good[: len(good) // 2],
        "no UTF-8": b"\xff\xfe" + good,
        "null": b"null",
        "no inputs": json.dumps({"rows": rows[:2]}).encode(),
        "inputs are text": b'{"inputs": "x"}',
        "rows are numbers": b'{"inputs": [1, 2]}',
        "no known column": b'{"inputs": [{"nothing": 1}]}',
        "text as a number": with_row(**{number: "old"}),
        "a list as a number": with_row(**{number: [1, 2]}),
        "lists as categories": with_row(site=["a", "b"]),
        "half a surrogate": with_row(site="\ud800"),
        "an object as a value": with_row(**{number: {"a": 1}}),
        "nesting": b"[" * 50_000,
        "nesting in rows": b'{"inputs": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        "a large body": b'{"inputs": [' + b" " * MAX_BODY + b"]}",
    }
    requests = [Request(kind, body) for kind, body in plain.items()]
    other = "Content-Type: text/csv\r\n"
    requests.append(Request("another content type", good, headers=other))
    requests.append(Request("GET", b"", line="GET /invocations"))
    requests.append(Request("another path", good, line="GET /nothing"))
    requests.append(Request("half a body", good, sent=len(good) // 2))
    return requests


async def client(port: int, draw: Callable[[], Request], tally: Tally, until: float) -> None:
    """Send requests one after the other, over one connection while the server keeps it."""
    link: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    while time.monotonic() < until:
        request = draw()
        started = time.perf_counter()
        try:
            link = link or await asyncio.open_connection("127.0.0.1", port)
            reader, writer = link
            head = f"{request.line} HTTP/1.1\r\nHost: x\r\n{request.headers}"
            head += f"Content-Length: {len(request.body)}\r\n\r\n"
            writer.write(head.encode() + request.body[: request.sent])
            if request.sent is not None:
                await writer.drain()
                writer.close()
                link = None
                tally.statuses[f"{request.kind}: left"] += 1
                continue
            status, body, kept = await asyncio.wait_for(_answer(reader), 60)
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            tally.faults.append(f"{request.kind}: no answer ({error!r})")
            link = None
            continue
        tally.note(request, status, body, time.perf_counter() - started)
        if not kept:
            writer.close()
            link = None
    if link is not None:
        link[1].close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes, bool]:
    """Return status and body, and whether the connection stays open."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    status = int(head.split()[1])
    fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    body = await reader.readexactly(int(fields["content-length"]))
    return status, body, fields.get("connection") != "close"


async def attack(
    port: int, good: list[Request], bad: list[Request], args: argparse.Namespace
) -> Tally:
    """Send requests from all clients; a third of them are bad."""
    tally, chance = Tally(), random.Random(1)

    def draw() -> Request:
        return chance.choice(bad if chance.random() < 1 / 3 else good)

    until = time.monotonic() + args.seconds
    await asyncio.gather(*(client(port, draw, tally, until) for _ in range(args.clients)))
    return tally


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Return the median, 90th and 99th percentile in milliseconds."""
    values = np.percentile(seconds, [50, 90, 99]) * 1000
    return {name: round(float(v), 1) for name, v in zip(("p50", "p90", "p99"), values, strict=True)}


def prepare(folder: Path, rows: int) -> tuple[list[dict[str, object]], list[float]]:
    """Train a model in ``folder/run``; return rows and the scores of ``ctrkit predict``."""
    frame = planted_clicks(rows, seed=1)[0].drop("time")
    frame.write_parquet(folder / "clicks.parquet")
    jobs.train(
        folder / "clicks.parquet",
        label="click",
        out=folder / "run",
        set=["train.epochs=1", "track.uri=none"],
    )
    draw = np.random.default_rng(2)
    sample = frame.drop("click").head(500)
    sample = sample.with_columns(  # missing and unseen values
        pl.when(pl.Series(draw.random(500) < 0.2)).then(None).otherwise(pl.col(c)).alias(c)
        for c in sample.columns
    ).with_columns(
        pl.when(pl.Series(draw.random(500) < 0.2))
        .then(pl.lit("new"))
        .otherwise("site")
        .alias("site")
    )
    sample.write_parquet(folder / "sample.parquet")
    command = [sys.executable, "-m", "ctrkit", "predict", str(folder / "run")]
    out = folder / "scores.parquet"
    subprocess.run([*command, str(folder / "sample.parquet"), "-o", str(out)], check=True)
    return sample.to_dicts(), pl.read_parquet(out)["prediction"].to_list()


def serve(run: Path, log: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start the server; return its process and port once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "ctrkit", "serve", str(run), "--port", str(port)]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, "--max-body", str(MAX_BODY)], stdout=file, stderr=file
        )
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process, port
        time.sleep(0.2)
    raise SystemExit(f"the server does not answer:\n{log.read_text()[-2000:]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rows", type=int, default=20_000, help="rows of the training data")
    parser.add_argument("--out", type=Path, default=HERE)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="serve-") as scratch:
        folder = Path(scratch)
        rows, scores = prepare(folder, args.rows)
        good, bad = good_requests(rows, scores, 300), bad_requests(rows, "age")
        process, port = serve(folder / "run", folder / "log")
        try:
            load = os.getloadavg()[0]
            tally = asyncio.run(attack(port, good, bad, args))
            started = time.monotonic()
            process.send_signal(signal.SIGTERM)
            process.wait(60)
        finally:
            process.kill()
            process.wait()
        stopped = time.monotonic() - started
        log = (folder / "log").read_text(errors="replace")
    if stopped > 5:
        tally.faults.append(f"SIGTERM took {stopped:.1f} s")
    if "Traceback" in log:
        tally.faults.append(f"the server logged a traceback: {log[-1000:]}")
    answered = [s for seconds in tally.seconds.values() for s in seconds]
    refused = [s for kind, seconds in tally.seconds.items() for s in seconds if kind != GOOD]
    report = {
        "clients": args.clients,
        "seconds": args.seconds,
        "requests": sum(tally.statuses.values()),
        "malformed": sum(n for k, n in tally.statuses.items() if not k.startswith(f"{GOOD}:")),
        "requests_per_second": round(len(answered) / args.seconds, 1),
        "milliseconds": percentiles(tally.seconds[GOOD]),
        "milliseconds_refused": percentiles(refused),
        "wrong_answers": len(tally.faults),
        "stopped_s": round(stopped, 1),
        "statuses": dict(sorted(tally.statuses.items())),
        "cpus": os.cpu_count(),
        "load_before": round(load, 1),
        "python": platform.python_version(),
    }
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (args.out / "report.md").write_text(_markdown(report), encoding="utf-8")
    print(json.dumps(report))
    for fault in tally.faults[:20]:
        print(fault, file=sys.stderr)
    sys.exit(bool(tally.faults))


def _markdown(report: dict[str, object]) -> str:
    names = ("clients", "seconds", "requests", "malformed", "requests_per_second")
    cells = [str(report[name]) for name in names]
    for name in ("milliseconds", "milliseconds_refused"):
        cells.append(" / ".join(str(value) for value in dict(report[name]).values()))
    cells += [str(report["wrong_answers"]), str(report["stopped_s"])]
    titles = ("clients", "seconds", "requests", "malformed", "requests/s", "p50 / p90 / p99 ms")
    titles += ("refused p50 / p90 / p99 ms", "wrong answers", "seconds to stop")
    return "\n".join(
        [
            "# A served model under attack",
            "",
            f"| {' | '.join(titles)} |",
            f"|{'---|' * len(titles)}",
            f"| {' | '.join(cells)} |",
            "",
            f"Clients and server share {report['cpus']} cores; the load average before was "
            f"{report['load_before']}.",
            "",
        ]
    )


if __name__ == "__main__":
    main()
