"""Fixtures of the registry's tests."""

from collections.abc import Iterator

import pytest

from penstock.app import policies
from penstock.core import policy


@pytest.fixture
def checks() -> Iterator[None]:
    """The checks of upper slices, as every process of an installation has them."""
    policies.install()
    yield
    policy.clear()
    policies.install()
