"""Options: declared once, shared by the verbs, read as people write them."""

from __future__ import annotations

import pytest

from ctrkit.cli.search.interactions import parse_bytes
from ctrkit.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "expected"),
    [("200MB", 200_000_000), ("1.5 gb", 1_500_000_000), ("2KiB", 2048), ("17", 17)],
)
def test_parse_bytes_reads_numbers_with_units(text, expected):
    assert parse_bytes(text) == expected
    with pytest.raises(ConfigError, match="number of bytes"):
        parse_bytes(f"{text}X")
