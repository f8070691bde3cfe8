"""Guards for tests, by name."""

from collections.abc import Iterator
from typing import Any

import pytest

from penstock.guardrails import building
from tests.gateway.guarding.support import BrokenGuard, RemoteGuard, ShoutGuard

KINDS: dict[str, Any] = {"shout": ShoutGuard, "broken": BrokenGuard, "remote": RemoteGuard}


@pytest.fixture(autouse=True, scope="package")
def plugins() -> Iterator[None]:
    """The guards for tests are found without being installed."""
    patch = pytest.MonkeyPatch()
    load = building.plugins.load
    tests_own = {("guards", name): guard for name, guard in KINDS.items()}
    patch.setattr(building.plugins, "load", lambda *what: tests_own.get(what) or load(*what))
    yield
    patch.undo()
