"""A file that others read is whole or not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ctrkit.errors import CtrkitError
from ctrkit.files import atomic_path, write_atomic, write_json, write_text


def write_half(path: Path) -> None:
    with atomic_path(path) as beside:
        beside.write_text("sec")
        raise OSError("disk full")


def test_a_failed_write_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "record.json"
    write_atomic(path, "first\n")
    with pytest.raises(OSError, match="full"):
        write_half(path)
    assert path.read_text() == "first\n"
    assert [p.name for p in tmp_path.iterdir()] == ["record.json"]


def test_text_is_utf8_and_bytes_are_kept(tmp_path):
    write_atomic(tmp_path / "a", "é\r\n")
    assert (tmp_path / "a").read_bytes() == "é\r\n".encode()
    write_atomic(tmp_path / "a", b"\x00")
    assert (tmp_path / "a").read_bytes() == b"\x00"


def test_json_is_read_back(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": [None, "ü"]}, sort_keys=True)
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == {"a": [None, "ü"], "b": 1}
    assert text.index('"a"') < text.index('"b"')
    assert text.endswith("\n")


def test_a_users_file_is_overwritten_by_force_alone(tmp_path):
    write_text(tmp_path / "a", "1", force=False)
    with pytest.raises(CtrkitError, match="exists"):
        write_text(tmp_path / "a", "2", force=False)
    write_text(tmp_path / "a", "2", force=True)
    assert (tmp_path / "a").read_text() == "2"
    with pytest.raises(CtrkitError, match="does not exist"):
        write_text(tmp_path / "b" / "a", "1", force=False)
