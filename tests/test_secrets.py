"""Secrets in addresses: what is hidden, and what is left as it is."""

from __future__ import annotations

import pytest

from ctrkit.errors import CtrkitError
from ctrkit.secrets import is_redacted, redact, redact_address

HIDDEN = {
    "postgresql://u:pw@h/db": "postgresql://u:***@h/db",
    "postgresql+psycopg://u:p@ss@h:5432/db": "postgresql+psycopg://u:***@h:5432/db",
    "mysql://u:p/w%40@h/db": "mysql://u:***@h/db",
    "postgresql://u:5432/x@h/db": "postgresql://u:***@h/db",
    "postgresql://u:a?b=c@h/db": "postgresql://u:***@h/db",
    "postgresql://me@corp:pw@h/db": "postgresql://me@corp:***@h/db",
    "redis://:pw@h": "redis://:***@h",
    "postgresql://h:5432/db?user=u&password=p@s/s%25": (
        "postgresql://h:5432/db?user=u&password=***"
    ),
    "postgresql:///db?host=/tmp&sslpassword=x&sslmode=require": (
        "postgresql:///db?host=/tmp&sslpassword=***&sslmode=require"
    ),
    "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3Dy": "mssql+pyodbc:///?odbc_connect=***",
    "https://u:p@ss/w@h/x.csv": "https://u:***@h/x.csv",
    "https://u:p@[::1]:80/x": "https://u:***@[::1]:80/x",
    "https://ghp_token@h/x.csv": "https://***@h/x.csv",
    "https://h/x.csv?X-Amz-Signature=a&X-Amz-Date=1&pass%77ord=b": (
        "https://h/x.csv?X-Amz-Signature=***&X-Amz-Date=1&pass%77ord=***"
    ),
    "https://h/x.csv?sv=1&sig=a%2Fb": "https://h/x.csv?sv=1&sig=***",
    "s3://key:secret@bucket/x.parquet": "s3://key:***@bucket/x.parquet",
}
PLAIN = [
    "/data/clicks.csv",
    "a:b@c",
    "sqlite:////home/me@work/x:y@z.db",
    "https://h:8080/path@v1/x.csv",
    "https://h/@scope/x.csv",
    "http://[::1]:5000/a@b",
    "s3://bucket/a:b@c.parquet",
    "postgresql://u@h:5432/db?application_name=x",
    "https://h/x.csv?keyword=a&author=b&sort_key=c",
]


@pytest.mark.parametrize("address", HIDDEN)
def test_secrets_of_an_address_are_hidden(address):
    redacted = redact_address(address)
    assert redacted == HIDDEN[address]
    assert redact_address(redacted) == redacted
    assert is_redacted(redacted)
    assert not is_redacted(address)
    assert redact(f"cannot read '{address}': no") == f"cannot read '{redacted}': no"
    assert str(CtrkitError(f"bad address {address}.")) == f"bad address {redacted}."


@pytest.mark.parametrize("address", PLAIN)
def test_what_has_no_secret_is_left_alone(address):
    assert redact_address(address) == address
    assert redact(f"see {address}, please") == f"see {address}, please"
    assert not is_redacted(address)


def test_pieces_of_a_password_that_a_library_split_are_hidden():
    address = "postgresql://u:first@sec0nd/third%25x@h/db?sslpassword=fo:urth"
    for text in ('host "sec0nd"', "password first@sec0nd", "db 'third'", "'third%x'", "fo:urth"):
        redacted = redact(f"could not translate {text} to an address", address)
        for piece in ("first", "sec0nd", "third", "fourth", "urth"):
            assert piece not in redacted, text
    assert redact("the first try", "postgresql://u:pw@h/db") == "the first try"
