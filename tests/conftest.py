"""What every test stands on: a home of its own, no tracking, two threads, the shared data."""

from __future__ import annotations

import gc
import hashlib
import os
import shutil
import signal
import sys
import tempfile
import threading
import uuid
import warnings
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ctrkit.registry import registry

ROOT = Path(__file__).resolve().parents[1]

# Read when torch and OpenMP are first imported; two cores are what CI has.
os.environ.setdefault("OMP_NUM_THREADS", "2")


@pytest.fixture(scope="session", autouse=True)
def ctrkit_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """No test touches the user's home or tracks by default; module fixtures included."""
    home = tmp_path_factory.mktemp("ctrkit-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CTRKIT_HOME", str(home))
        patch.setenv("CTRKIT_TRACKING_URI", "none")
        yield home


@pytest.fixture(scope="session", autouse=True)
def default_interrupt() -> Iterator[None]:
    """Restore SIGINT, here and in subprocesses; a background job may start with it ignored."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def temporary() -> Iterator[None]:
    """Forget the components and plug-ins that a test registers."""
    entries, modules = set(registry.entries), set(sys.modules)
    yield
    for key in set(registry.entries) - entries:
        del registry.entries[key]
        registry.components.pop(key, None)
    for name in set(sys.modules) - modules:
        if name.startswith("ctrkit_plugin_"):
            del sys.modules[name]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets (README: CTRKIT_SHARED); skips where it is absent."""
    shared = Path(os.environ.get("CTRKIT_SHARED", ROOT.parent / "shared"))
    if not (shared / "data").is_dir():
        pytest.skip(f"no real data below {shared} (set CTRKIT_SHARED)")
    return shared / "data"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Serve a folder with support of byte ranges, as object stores do."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def reply(self, *, body: bool) -> None:
            path = Path(tmp_path / self.path.split("?")[0].lstrip("/"))
            if not path.is_file():
                self.send_error(404)
                return
            data, total = path.read_bytes(), path.stat().st_size
            wanted = self.headers.get("Range")
            if wanted:
                low, _, high = wanted.removeprefix("bytes=").partition("-")
                start = int(low) if low else max(0, total - int(high))
                stop = min(int(high) + 1, total) if low and high else total
                data = data[start:stop]
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{total}")
            else:
                self.send_response(200)
            if "tagged" in path.name:
                self.send_header("ETag", hashlib.sha256(path.read_bytes()).hexdigest())
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if body:
                self.wfile.write(data)

        def do_GET(self) -> None:
            self.reply(body=True)

        def do_HEAD(self) -> None:
            self.reply(body=False)

        def log_message(self, *_args: object) -> None:
            """Keep the tests' output clean."""

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a PostgreSQL server: ``CTRKIT_TEST_POSTGRES_URL``, else one of pgserver's."""
    given = os.environ.get("CTRKIT_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    # Not below pytest's folder: the server has a user of its own, and pytest locks others out.
    place = Path(tempfile.mkdtemp(prefix="ctrkit-postgres-"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        pgserver = pytest.importorskip("pgserver", reason="no PostgreSQL: pip install pgserver")
        server = pgserver.get_server(place, cleanup_mode="stop")
        server.psql("ALTER SYSTEM SET fsync = off; ")
        server.psql("SELECT pg_reload_conf();")
        yield server.get_uri()
        server.cleanup()
    shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def fresh_database(postgres_server: str) -> Iterator[Callable[[], str]]:
    """Make empty databases on a PostgreSQL server; give their URLs."""
    from sqlalchemy import create_engine, text
    from sqlalchemy.engine import make_url

    server = make_url(postgres_server).set(drivername="postgresql+psycopg")
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    made = []

    def create() -> str:
        made.append(f"ctrkit_{uuid.uuid4().hex[:12]}")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {made[-1]}"))
        return server.set(database=made[-1]).render_as_string(hide_password=False)

    yield create
    with warnings.catch_warnings():  # MLflow and Optuna leave their connections to the collector
        warnings.simplefilter("ignore")
        gc.collect()
    with engine.connect() as connection:
        for name in made:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()
