import pytest
from tests.conftest import owner_of

from penstock.core.home import Home
from penstock.core.scope import Actor


@pytest.fixture
def owner(sqlite_home: Home) -> Actor:
    """The owner of `sqlite_home`."""
    return owner_of(sqlite_home)
