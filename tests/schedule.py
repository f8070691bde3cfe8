"""With several processes, the tests that use the whole machine run one after another in one of them."""

import pytest

SERIAL = ("heavy", "e2e")
GROUP = "serial"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put heavy and browser tests into one group of pytest-xdist's `--dist=loadgroup`."""
    for item in items:
        if any(item.get_closest_marker(name) for name in SERIAL):
            item.add_marker(pytest.mark.xdist_group(GROUP))
