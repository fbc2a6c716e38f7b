"""Run the checks of a contract and report the outcome of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Verdict:
    """The outcome of one check.

    Attributes:
        component: Name of the component.
        name: Name of the check.
        ok: Whether the check passed.
        message: What went wrong; empty where nothing did.
    """

    component: str
    name: str
    ok: bool
    message: str = ""


def run_checks(component: str, case: T, checks: Mapping[str, Callable[[T], None]]) -> list[Verdict]:
    """Run every check on a case; an exception is a failure.

    Args:
        component: Name of the component.
        case: What each check takes.
        checks: Checks by name.
    """
    verdicts = []
    for name, check in checks.items():
        try:
            check(case)
        except Exception as error:
            message = f"{type(error).__name__}: {error}".splitlines()[0]
            verdicts.append(Verdict(component, name, ok=False, message=message))
        else:
            verdicts.append(Verdict(component, name, ok=True))
    return verdicts


def require(condition: bool, message: str) -> None:
    """Raise an error with the message unless the condition holds."""
    if not condition:
        raise AssertionError(message)
