"""Training, models, deployments and releases in a real browser, on the scripted server."""

from collections.abc import Callable

import pytest

Browse = Callable[[str, str, str], str]
pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SCENARIOS = (
    "loop_light",
    "loop_dark",
    "loop_narrow",
    "loop_empty",
    "loop_error",
    "train",
    "searching",
    "registry",
    "governing",
    "cleaning",
    "releasing",
)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str, browse: Browse, fake_server: str) -> None:
    assert browse(scenario, fake_server, "one-time-token") == "passed"
