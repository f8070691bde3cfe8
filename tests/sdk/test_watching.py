"""Starting, following and ending releases, training runs and deployments through the SDK."""

from typing import Any

import pytest

from penstock.sdk.client import Client
from penstock.sdk.errors import SdkError
from tests.sdk.fake_server import FakeServer


@pytest.fixture
def client(server: FakeServer) -> Client:
    return Client(server.url, "psk_1")


def _release(state: str, **more: Any) -> dict[str, Any]:
    return {"id": "rel_1", "name": "new", "state": state, "comparisons": [], "decisions": [], **more}


def test_a_release_is_started_followed_and_compared(
    client: Client, server: FakeServer, pauses: list[float]
) -> None:
    server.answer("POST /api/v1/releases", _release("running"), status=201)
    arms = [{"name": "control"}, {"name": "new", "provider": "mo", "model": "small"}]
    client.releases.start(
        "new", kind="canary", subject={"type": "model", "route": "chat"}, arms=arms, alpha=0.01
    )
    assert server.asked[0].json() == {
        "name": "new",
        "kind": "canary",
        "subject": {"type": "model", "route": "chat"},
        "arms": arms,
        "alpha": 0.01,
    }
    server.answer("GET /api/v1/releases/new", _release("running"))
    for found in (_release("running"), _release("running"), _release("running", step=1)):
        server.answer("GET /api/v1/releases/rel_1", found)
    compared = {"arm": "new", "metric": "errors", "verdict": "safe"}
    server.answer("GET /api/v1/releases/rel_1", _release("promoted", comparisons=[compared]))
    seen = [(each["state"], each.get("step")) for each in client.releases.watch("new")]
    assert seen == [("running", None), ("running", 1), ("promoted", None)]
    assert pauses == [1.0, 1.0, 1.0]
    assert client.releases.compare("rel_1") == {"new": {"errors": compared}}


def test_waiting_for_a_release_ends_where_somebody_has_to_decide(
    client: Client, server: FakeServer, pauses: list[float]
) -> None:
    server.answer("GET /api/v1/releases/rel_1", _release("running"))
    with pytest.raises(SdkError, match="rel_1 is still running after 0 seconds"):
        client.releases.wait("rel_1", timeout=0)
    server.answer("GET /api/v1/releases/rel_1", _release("decided"))
    assert client.releases.wait("rel_1")["state"] == "decided"
    for verb in ("rollback", "promote", "pause", "resume", "step"):
        server.answer(f"POST /api/v1/releases/rel_1/{verb}", _release("running"))
    client.releases.promote("rel_1", arm="new", reason="seen enough")
    assert server.asked[-1].json() == {"reason": "seen enough", "arm": "new"}
    client.releases.roll_back("rel_1")
    assert (server.asked[-1].path, server.asked[-1].json()) == (
        "/api/v1/releases/rel_1/rollback",
        {"reason": ""},
    )
    for move in (client.releases.pause, client.releases.resume, client.releases.step):
        assert move("rel_1")["state"] == "running"


def test_a_training_run_is_followed_to_its_end(
    client: Client, server: FakeServer, pauses: list[float]
) -> None:
    for step, state in ((0, "queued"), (1, "running"), (1, "running"), (2, "succeeded")):
        server.answer("GET /api/v1/training/runs/run_1", {"state": state, "progress": {"step": step}})
    assert [each["progress"]["step"] for each in client.training.watch("run_1")] == [0, 1, 2]
    assert client.training.wait("run_1")["state"] == "succeeded"
    server.answer("GET /api/v1/training/runs/run_1/log", {"text": "done"})
    assert client.training.log("run_1", tail=10) == "done"
    assert server.asked[-1].path.endswith("/log?tail=10")


def test_a_deployment_is_waited_for_or_says_why_it_failed(
    client: Client, server: FakeServer, pauses: list[float]
) -> None:
    for state in ("starting", "ready"):
        server.answer("GET /api/v1/deployments/triage", {"state": state, "replicas": []})
    assert client.deployments.wait("triage")["state"] == "ready"
    failed = {"state": "failed", "replicas": [{"error": None}, {"error": "out of memory"}]}
    server.answer("GET /api/v1/deployments/other", failed)
    with pytest.raises(SdkError, match="other failed: out of memory"):
        client.deployments.wait("other")


def test_a_deployment_is_changed(client: Client, server: FakeServer) -> None:
    path = "/api/v1/deployments/triage"
    for call in (f"PUT {path}", f"PUT {path}/scale", f"POST {path}/retry", f"PUT {path}/adapters/a"):
        server.answer(call, {})
    server.answer(f"DELETE {path}/adapters/a", {})
    server.answer(f"GET {path}/logs", {"items": [{"replica": "1.0", "lines": ["up"]}], "next": None})
    server.answer(f"GET {path}/canary", {"more_errors": False})
    client.deployments.update("triage", model="triage@4")
    client.deployments.scale("triage", min=0, max=3)
    assert server.asked[-1].json() == {"min": 0, "max": 3}
    client.deployments.scale("triage", 2)
    assert server.asked[-1].json() == {"replicas": 2}
    client.deployments.retry("triage")
    client.deployments.put_adapter("triage", "a", "lora@1")
    assert server.asked[-1].json() == {"model": "lora@1"}
    client.deployments.delete_adapter("triage", "a")
    assert [each["lines"] for each in client.deployments.logs("triage", tail=5)] == [["up"]]
    assert client.deployments.compare("triage") == {"more_errors": False}
