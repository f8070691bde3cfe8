"""Annotation, prompts, evaluation and data in a real browser, on the scripted server."""

from collections.abc import Callable

import pytest

Browse = Callable[[str, str, str], str]
pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SCENARIOS = ("annotate", "annotate_slowly", "pairs", "queues", "prompting", "columns", "comparing", "data")


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str, browse: Browse, fake_server: str) -> None:
    assert browse(scenario, fake_server, "one-time-token") == "passed"
