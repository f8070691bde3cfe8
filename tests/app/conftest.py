"""Servers of several processes; all of them have ended when a test has."""

from collections.abc import Callable, Iterator

import pytest

from penstock.core.home import Home
from tests.app.stack import Paid, Stack

Build = Callable[..., Stack]


@pytest.fixture
def paid() -> Iterator[Paid]:
    """A provider that writes down what its calls cost."""
    made = Paid()
    with made.server:
        yield made


@pytest.fixture
def build(sqlite_home: Home, paid: Paid) -> Iterator[Build]:
    """Makes a stack that is configured for `paid`; the test starts it."""
    made: list[Stack] = []

    def build(workers: int, **settings: str) -> Stack:
        stack = Stack(sqlite_home, workers, settings)
        stack.configure(paid.server.url)
        made.append(stack)
        return stack

    yield build
    for stack in made:
        stack.stop()
