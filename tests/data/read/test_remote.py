"""Rows over http: parquet by ranges, csv as a stream."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import polars as pl
import pytest

from ctrkit.data.read.sources import open_source
from ctrkit.errors import DataError

FRAME = pl.DataFrame({"click": [0, 1, 1], "user": [2**60 + 1, 7, 7], "site": ["a", None, "c"]})


@pytest.fixture
def server(tmp_path):
    """Serve a folder with support of byte ranges, as object stores do."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def reply(self, *, body: bool) -> None:
            path = Path(tmp_path / self.path.lstrip("/"))
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


def rows(url: str) -> pl.DataFrame:
    return pl.concat([chunk.frame for chunk in open_source(url).chunks()])


def test_parquet_over_http(server, tmp_path):
    FRAME.write_parquet(tmp_path / "rows.parquet")
    assert rows(f"{server}/rows.parquet").equals(FRAME)


def test_csv_over_http_is_text(server, tmp_path):
    FRAME.write_csv(tmp_path / "rows.csv")
    found = rows(f"{server}/rows.csv")
    assert found["user"].to_list() == [str(2**60 + 1), "7", "7"]
    assert found["site"].to_list() == ["a", None, "c"]


def test_an_absent_file_is_an_error_of_one_line(server):
    with pytest.raises(DataError, match=r"nowhere\.parquet") as caught:
        rows(f"{server}/nowhere.parquet")
    assert "\n" not in str(caught.value)
