"""Pipelines in a real browser, on the scripted server."""

from collections.abc import Callable

import pytest

Browse = Callable[[str, str, str], str]
pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SCENARIOS = (
    "pipelines_light",
    "pipelines_dark",
    "pipelines_narrow",
    "pipelines_empty",
    "pipelines_error",
    "pipelines",
)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str, browse: Browse, fake_server: str) -> None:
    assert browse(scenario, fake_server, "one-time-token") == "passed"
