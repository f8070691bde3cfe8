"""Lineage over HTTP: from a trace up to the data of the model that answered it."""

from starlette.testclient import TestClient
from tests.traces.build import call

from penstock.core.home import Home
from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.traces import service


def test_a_trace_leads_to_the_data_of_the_model_that_answered(
    client: TestClient, home: Home, actor: Actor
) -> None:
    answered, other = call(model="desk@1"), call(model="gpt-4o-mini")
    service.ingest(home, actor.scope, [answered, other])
    with home.begin() as uow:
        uow.link(actor.scope, ("deployment", "desk@1"), [Link("model_version", "triage@1", "serves")])
        uow.link(actor.scope, ("model_version", "triage@1"), [Link("dataset_version", "tickets@1", "data")])

    def up(trace_id: str, more: str = "") -> list[tuple[str, str]]:
        page = client.get(f"/api/v1/lineage/trace/{trace_id}?direction=up{more}").json()
        return [(edge["child_ref"], edge["parent_ref"]) for edge in page["items"]]

    assert up(answered.trace_id) == [
        (answered.trace_id, "desk@1"),
        ("desk@1", "triage@1"),
        ("triage@1", "tickets@1"),
    ]
    assert up(answered.trace_id, "&depth=1") == [(answered.trace_id, "desk@1")]
    assert up(other.trace_id) == []
    assert up("f" * 32) == up("nonsense") == []
