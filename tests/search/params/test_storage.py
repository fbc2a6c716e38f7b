"""Addresses of databases: compared, unreachable, and shown without passwords."""

from __future__ import annotations

from pathlib import Path

import pytest

from ctrkit.errors import ConfigError
from ctrkit.search.params.config import ParamsSearchConfig
from ctrkit.search.params.storage import same_database
from ctrkit.search.params.study import Trials
from ctrkit.secrets import redact_address


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("postgresql+psycopg://me:x@localhost/a", "postgresql://you@127.0.0.1:5432/a", True),
        ("postgresql://h/a", "postgresql://h/b", False),
        ("postgresql://h/a", "postgresql://h:5433/a", False),
        ("sqlite:///a.db", "sqlite:////nowhere/a.db", False),
        ("sqlite:///a.db", f"sqlite:///{Path('a.db').absolute()}", True),
        ("http://127.0.0.1:5000", "postgresql://h/a", False),
    ],
)
def test_same_database_ignores_driver_user_and_options(a, b, same):
    assert same_database(a, b) is same


def test_unreachable_database_is_one_line_without_the_password(tmp_path):
    url = "postgresql+psycopg://me:secret@127.0.0.1:9/nothing"
    with pytest.raises(ConfigError, match=r"search\.storage") as error:
        Trials(ParamsSearchConfig(), tmp_path, "study", 0, url)
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)
    assert redact_address(url) == "postgresql+psycopg://me:***@127.0.0.1:9/nothing"
