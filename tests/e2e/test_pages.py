"""Every page in a real browser, on a scripted server: full, empty and failing; axe in light and dark."""

from collections.abc import Callable

import pytest

Browse = Callable[[str, str, str], str]
pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SCENARIOS = (
    "light",
    "dark",
    "empty",
    "error",
    "signin",
    "keyboard",
    "traces",
    "listing",
    "tail",
    "bulk",
    "trace",
    "big",
    "dashboards",
    "signals",
    "correcting",
    "people",
    "playground",
    "routing",
    "providers",
    "keys",
    "budgets",
    "spend",
    "prices",
    "batches",
    "cache",
    "guardrails",
    "changes",
    "waiting",
    "theme",
    "narrow",
)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_scenario(scenario: str, browse: Browse, fake_server: str) -> None:
    assert browse(scenario, fake_server, "one-time-token") == "passed"


def test_against_a_running_penstock(browse: Browse, given: dict[str, str]) -> None:
    """`PENSTOCK_E2E_URL` and `PENSTOCK_E2E_SIGNIN` (a one-time link) point at a server with the demo's data."""
    url = given.get("PENSTOCK_E2E_URL")
    if not url:
        pytest.skip("PENSTOCK_E2E_URL is not set")
    assert browse("real", url, given["PENSTOCK_E2E_SIGNIN"]) == "passed"
