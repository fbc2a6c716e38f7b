"""Properties in two sizes: a few examples in the fast suite, many in the slow one."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis.strategies import SearchStrategy

from ctrkit.errors import CtrkitError

SLOW = (pytest.mark.slow, pytest.mark.timeout(1200))
"""Marks of the many examples: a failure is also shrunk."""


def for_all(fast: int, slow: int, **strategies: SearchStrategy) -> Callable:
    """Return a decorator that tests a property over drawn arguments; the others are fixtures.

    Args:
        fast: Number of examples in the fast suite.
        slow: Number of examples in the slow suite.
        **strategies: Argument -> what it is drawn from.
    """

    def decorate(check: Callable[..., None]) -> Callable[..., None]:
        @pytest.mark.parametrize("examples", [fast, pytest.param(slow, marks=SLOW)])
        def test(examples: int, **fixtures: object) -> None:
            def holds(**drawn: object) -> None:
                check(**fixtures, **drawn)

            settings(max_examples=examples)(given(**strategies)(holds))()

        own = [p for n, p in inspect.signature(check).parameters.items() if n not in strategies]
        examples = inspect.Parameter("examples", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        test.__signature__ = inspect.Signature([examples, *own])
        test.__name__, test.__doc__ = check.__name__, check.__doc__
        test.__module__, test.__qualname__ = check.__module__, check.__qualname__
        return test

    return decorate


def one_line(error: CtrkitError) -> CtrkitError:
    """Return an error of one line."""
    assert len(str(error)) > 10
    assert len(str(error).splitlines()) == 1
    return error
