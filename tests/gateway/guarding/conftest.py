"""The guards that come with Penstock, and some for tests, by name."""

from collections.abc import Iterator
from typing import Any

import pytest

from penstock.guardrails import building
from penstock.guardrails.guards.caps import CapsGuard
from penstock.guardrails.guards.injection import InjectionGuard
from penstock.guardrails.guards.pii import PiiGuard
from penstock.guardrails.guards.secrets import SecretsGuard
from penstock.guardrails.guards.tools import ToolsGuard
from penstock.guardrails.guards.topics import TopicsGuard
from penstock.guardrails.guards.urls import UrlsGuard
from tests.gateway.guarding.support import BrokenGuard, RemoteGuard, ShoutGuard

KINDS: dict[str, Any] = {
    "pii": PiiGuard, "secrets": SecretsGuard, "urls": UrlsGuard, "injection": InjectionGuard, "tools": ToolsGuard,
    "caps": CapsGuard, "topics": TopicsGuard, "shout": ShoutGuard, "broken": BrokenGuard, "remote": RemoteGuard,
}  # fmt: skip


@pytest.fixture(autouse=True, scope="session")
def plugins() -> Iterator[None]:
    """Guards are found without being installed."""
    patch = pytest.MonkeyPatch()
    load = building.plugins.load
    patch.setattr(building.plugins, "load", lambda group, name: KINDS.get(name) or load(group, name))
    yield
    patch.undo()
