"""Tests that use the whole machine do not run beside one another."""

import pytest

from tests.schedule import GROUP


@pytest.mark.heavy
def test_heavy_tests_are_given_out_as_one_group(request: pytest.FixtureRequest) -> None:
    # pytest-xdist sets the option in its processes.
    grouped = getattr(request.config.option, "loadgroup", False)
    assert request.node.nodeid.endswith(f"@{GROUP}") == grouped, "pytest-xdist gives them to any process"
