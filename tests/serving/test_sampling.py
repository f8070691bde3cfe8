from collections.abc import Iterator

import pytest

from penstock.core import metrics
from penstock.core.home import Home
from penstock.core.metrics.registry import Family
from penstock.core.scope import Scope
from penstock.serving.sampling import Sampler


@pytest.fixture
def sampler(home: Home) -> Iterator[Sampler]:
    made = Sampler(home)
    yield made
    made.close()


def test_projects_of_one_name_in_two_tenants_have_latencies_of_their_own(
    sampler: Sampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    totals = {"acme": [0.0, 0.0, 0.0], "other": [0.0, 0.0, 0.0]}

    def merged(_home: Home) -> list[Family]:
        labels = ("tenant", "project", "route", "target")
        series = [
            ((tenant, "web", route, "local/triage"), values)
            for tenant, values in totals.items()
            for route in ("chat", "help")
        ]
        return [Family("penstock_gateway_call_seconds", "histogram", "", labels, series)]

    monkeypatch.setattr(metrics, "merged", merged)
    assert sampler.latencies() == {}
    totals["acme"] = [1.0, 1.0, 0.5]  # two calls that took half a second together
    totals["other"] = [0.0, 1.0, 2.0]
    acme, other = Scope("acme", "web"), Scope("other", "web")
    assert sampler.latencies() == {(acme, "triage"): 250.0, (other, "triage"): 2000.0}
    assert sampler.latencies() == {}, "nothing ended since"
