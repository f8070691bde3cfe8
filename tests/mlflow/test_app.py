"""MLflow's API without its client: who may, what is refused, and what the client does not do by itself."""

import base64
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.testclient import TestClient

from penstock.app.server import Penstock
from penstock.core.auth import service as auth
from penstock.core.home import Home
from penstock.core.scope import Actor, Role
from penstock.feedback import service as feedback
from penstock.prompts import service as prompts
from penstock.prompts.model import Body, Kind
from penstock.registry import service as registry
from penstock.traces import erasure
from penstock.traces import service as traces
from penstock.traces.model import SpanRecord

API = "/mlflow/api/2.0/mlflow"
NEW = "/mlflow/api/3.0/mlflow"
TRACE = "0123456789abcdef0123456789abcdef"


def key_of(home: Home, actor: Actor, role: Role) -> str:
    with home.begin() as uow:
        return auth.create_key(uow, actor, name=f"a {role}", role=role)[1]


@pytest.fixture
def http(home: Home, actor: Actor) -> Iterator[TestClient]:
    """The whole app, with a member's key."""
    key = key_of(home, actor, Role.MEMBER)
    with TestClient(Penstock(home), headers={"authorization": f"Bearer {key}"}) as opened:
        yield opened


def span(span_id: str = "00f067aa0ba902b7", **values: Any) -> SpanRecord:
    return SpanRecord(
        trace_id=TRACE,
        span_id=span_id,
        **{
            "name": "call",
            "start_ns": 1_700_000_000_000_000_000,
            "end_ns": 1_700_000_001_500_000_000,
            **values,
        },
    )


def otlp(root: bool = True, **attributes: str) -> bytes:
    request = ExportTraceServiceRequest()
    one = request.resource_spans.add().scope_spans.add().spans.add()
    one.trace_id, one.span_id, one.name = bytes.fromhex(TRACE), bytes.fromhex("00f067aa0ba902b7"), "root"
    if not root:
        one.parent_span_id = bytes.fromhex("00f067aa0ba90200")
    one.start_time_unix_nano, one.end_time_unix_nano = 1_700_000_000_000_000_000, 1_700_000_001_000_000_000
    for key, value in attributes.items():
        one.attributes.add(key=key.replace("__", ".")).value.string_value = value
    return request.SerializeToString()


def told(**values: Any) -> dict[str, Any]:
    info = {
        "trace_id": f"tr-{TRACE}",
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}},
        "request_time": "2023-11-14T22:13:20Z",
        "execution_duration": "1.5s",
        "state": "OK",
        "trace_metadata": {"mlflow.trace.user": "ann", "plan": "free"},
        "tags": {"team": "mail"},
    }
    return {"trace": {"trace_info": info | values}}


def post_spans(http: TestClient, body: bytes, **headers: str) -> None:
    kind = {"content-type": "application/x-protobuf", **{k.replace("_", "-"): v for k, v in headers.items()}}
    answer = http.post("/mlflow/v1/traces", content=body, headers=kind)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"authorization": ""}, 401, "UNAUTHENTICATED"),
        ({"authorization": "Bearer psk_wrong"}, 401, "UNAUTHENTICATED"),
        ({"authorization": "Basic not-base64!"}, 401, "UNAUTHENTICATED"),
        ({"x-penstock-project": "absent"}, 403, "PERMISSION_DENIED"),
    ],
)
def test_who_may_not(http: TestClient, headers: dict[str, str], status: int, code: str) -> None:
    answer = http.post(f"{API}/experiments/search", json={}, headers=headers)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)


def test_password_and_api_key(http: TestClient) -> None:
    key = http.headers["authorization"].removeprefix("Bearer ")
    basic = "Basic " + base64.b64encode(f"anybody:{key}".encode()).decode()
    for headers in ({"authorization": basic}, {"authorization": "", "x-api-key": key}):
        assert http.post(f"{API}/experiments/search", json={}, headers=headers).status_code == 200


def test_a_viewer_reads_and_does_not_write(http: TestClient, home: Home, actor: Actor) -> None:
    made = http.post(f"{API}/experiments/create", json={"name": "e"}).json()["experiment_id"]
    viewer = {"authorization": f"Bearer {key_of(home, actor, Role.VIEWER)}"}
    read = http.get(f"{API}/experiments/get", params={"experiment_id": made}, headers=viewer)
    assert read.json()["experiment"]["name"] == "e"
    written = http.post(f"{API}/runs/create", json={"experiment_id": made}, headers=viewer)
    assert written.json()["error_code"] == "PERMISSION_DENIED"
    nothing = http.get(f"{API}/experiments/get", params={"experiment_id": "0"}, headers=viewer)
    assert nothing.json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", f"{API}/absent", None, 404, "ENDPOINT_NOT_FOUND"),
        ("DELETE", f"{API}/runs/create", None, 404, "ENDPOINT_NOT_FOUND"),
        ("POST", f"{API}/runs/log-metric", b"{", 400, "INVALID_PARAMETER_VALUE"),
        ("POST", f"{API}/runs/log-metric", b"[]", 400, "INVALID_PARAMETER_VALUE"),
        ("POST", f"{API}/runs/log-metric", b'{"run_id": "x", "key": "a"}', 400, "INVALID_PARAMETER_VALUE"),
        ("POST", f"{API}/runs/log-batch", b'{"run_id": "x"}', 404, "RESOURCE_DOES_NOT_EXIST"),
        ("POST", f"{API}/runs/log-batch", b'{"metrics": 5}', 400, "INVALID_PARAMETER_VALUE"),
        ("POST", f"{API}/runs/search", b'{"experiment_ids": ["0"], "filter": "x ="}', 400, "INVALID_PARAMETER_VALUE"),
        ("GET", f"{NEW}/traces/tr-zz", None, 404, "RESOURCE_DOES_NOT_EXIST"),
        ("POST", f"{NEW}/traces", b'{"trace": {}}', 400, "INVALID_PARAMETER_VALUE"),
        ("POST", f"{NEW}/traces/search", b"{}", 400, "INVALID_PARAMETER_VALUE"),
        ("POST", f"{API}/registered-models/create", b'{"name": "a/b"}', 400, "INVALID_PARAMETER_VALUE"),
        ("GET", f"{API}/registered-models/get?name=absent", None, 404, "RESOURCE_DOES_NOT_EXIST"),
    ],
)  # fmt: skip
def test_refusals(
    http: TestClient, method: str, path: str, body: bytes | None, status: int, code: str
) -> None:
    answer = http.request(method, path, content=body)
    assert (answer.status_code, answer.json()["error_code"]) == (status, code), answer.text


def test_the_server_says_what_it_is(http: TestClient) -> None:
    assert http.get("/mlflow/version", headers={"authorization": ""}).text.startswith("3.")
    assert http.get("/mlflow/health").text == "OK"
    assert http.get(f"{NEW}/server-info").json()["workspaces_enabled"] is True
    assert http.get("/mlflow/", follow_redirects=False).headers["location"] == "/"
    assert http.post("/mlflow/ajax-api/2.0/mlflow/experiments/search", json={}).status_code == 200


@pytest.mark.parametrize("spans_first", [True, False])
def test_note_and_spans_meet_in_any_order(
    http: TestClient, home: Home, actor: Actor, spans_first: bool
) -> None:
    steps = [lambda: post_spans(http, otlp()), lambda: http.post(f"{NEW}/traces", json=told())]
    for step in steps if spans_first else steps[::-1]:
        step()
    with home.read() as uow:
        root = traces.get_span_body(uow, actor, trace_id=TRACE, span_id="00f067aa0ba902b7")
    assert (root.user, root.tags) == ("ann", ("team=mail",))
    assert root.metadata["plan"] == "free"


def test_a_trace_that_the_client_calls_failed_is_found_as_one(http: TestClient) -> None:
    post_spans(http, otlp())
    http.post(f"{NEW}/traces", json=told(state="ERROR"))
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}
    for text, count in (("status = 'ERROR'", 1), ("status = 'OK'", 0)):
        answer = http.post(f"{NEW}/traces/search", json={"locations": [place], "filter": text}).json()
        assert len(answer["traces"]) == count, text


def test_a_note_without_spans_is_readable(http: TestClient) -> None:
    answer = http.post(f"{NEW}/traces", json=told(state="IN_PROGRESS")).json()["trace"]["trace_info"]
    assert answer["tags"]["mlflow.trace.spansLocation"] == "TRACKING_STORE"
    found = http.get(f"{NEW}/traces/get", params={"trace_id": f"tr-{TRACE}"}).json()["trace"]
    assert (found["spans"], found["trace_info"]["state"]) == ([], "IN_PROGRESS")
    assert found["trace_info"]["execution_duration"] == "1.500s"


def test_an_exporter_alone_chooses_the_experiment(http: TestClient) -> None:
    made = http.post(f"{API}/experiments/create", json={"name": "e"}).json()["experiment_id"]
    post_spans(http, otlp(), x_mlflow_experiment_id=made)

    def found(experiment: str) -> list[str]:
        place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment}}
        answer = http.post(f"{NEW}/traces/search", json={"locations": [place]}).json()
        return [one["trace_id"] for one in answer.get("traces", [])]

    assert found(made) == [f"tr-{TRACE}"]
    assert found("0") == []


def test_values_encoded_twice_are_unwrapped(http: TestClient, home: Home, actor: Actor) -> None:
    post_spans(
        http,
        otlp(
            mlflow__traceRequestId=f'"tr-{TRACE}"',
            mlflow__spanType='"LLM"',
            mlflow__spanInputs='{"q": "hi"}',
            mlflow__spanOutputs='"forty-two"',
            count="7",
            broken="not json",
        ),
    )
    with home.read() as uow:
        root = traces.get_span_body(uow, actor, trace_id=TRACE, span_id="00f067aa0ba902b7")
    assert root.kind == "llm"
    assert b'"content":"forty-two"' in (root.output or b"")  # as traces tells conversations
    read = http.get(f"{NEW}/traces/get", params={"trace_id": f"tr-{TRACE}"}).json()["trace"]["spans"][0]
    facts = {one["key"]: one["value"] for one in read["attributes"]}
    assert facts["mlflow.spanOutputs"] == {"string_value": "forty-two"}  # as it was sent
    assert not [key for key in facts if "sent" in key]
    assert (root.attributes["count"], root.attributes["broken"]) == (7, "not json")


def test_broken_spans_are_refused(http: TestClient) -> None:
    kind = {"content-type": "application/x-protobuf"}
    answer = http.post("/mlflow/v1/traces", content=b"\xff\xff\xff", headers=kind)
    assert answer.status_code == 400


def test_a_gateway_key_may_send_traces_only(http: TestClient, home: Home, actor: Actor) -> None:
    sender = f"Bearer {key_of(home, actor, Role.GATEWAY)}"
    post_spans(http, otlp(), authorization=sender)
    answer = http.get(f"{NEW}/traces/tr-{TRACE}", headers={"authorization": sender})
    assert answer.json()["error_code"] == "PERMISSION_DENIED"


def test_traces_of_others_are_in_the_default_experiment(http: TestClient, home: Home, actor: Actor) -> None:
    one = span(kind="llm", model="gpt-x", input=b'[{"role":"user","content":"hi"}]', output=b'"yo"',
               input_tokens=3, output_tokens=2, user="bob", status="error", error="boom")  # fmt: skip
    traces.ingest(home, actor.scope, [one])
    place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}
    query = {
        "locations": [place],
        "filter": "trace.status = 'ERROR' AND metadata.`mlflow.trace.user` = 'bob'",
    }
    found = http.post(f"{NEW}/traces/search", json=query).json()["traces"][0]
    assert found["tags"]["mlflow.traceName"] == "call"
    assert msgspec.json.decode(found["trace_metadata"]["mlflow.trace.tokenUsage"])["total_tokens"] == 5
    read = http.get(f"{NEW}/traces/get", params={"trace_id": found["trace_id"]}).json()["trace"]["spans"][0]
    facts = {one["key"]: one["value"] for one in read["attributes"]}
    assert facts["mlflow.spanType"] == {"string_value": "LLM"}
    assert facts["mlflow.llm.model"] == {"string_value": "gpt-x"}
    assert read["status"] == {"code": "STATUS_CODE_ERROR", "message": "boom"}
    assert base64.b64decode(read["trace_id"]).hex() == TRACE


def test_deleting_traces_needs_an_administrator(http: TestClient, home: Home, actor: Actor) -> None:
    post_spans(http, otlp())
    http.post(f"{NEW}/traces", json=told())
    wanted = {"experiment_id": "0", "request_ids": [f"tr-{TRACE}"]}
    refused = http.post(f"{API}/traces/delete-traces", json=wanted)
    assert refused.json()["error_code"] == "PERMISSION_DENIED"
    admin = {"authorization": f"Bearer {key_of(home, actor, Role.ADMIN)}"}
    assert http.post(f"{API}/traces/delete-traces", json=wanted, headers=admin).json() == {
        "traces_deleted": 1
    }
    gone = http.get(f"{NEW}/traces/tr-{TRACE}")
    assert gone.json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"


def test_deleting_many_traces_leaves_the_lock_to_others_between(
    http: TestClient, home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = [msgspec.structs.replace(span(), trace_id=f"{number:032x}") for number in range(1, 5)]
    traces.ingest(home, actor.scope, made)
    breathed: list[int] = []
    monkeypatch.setattr(erasure, "STEP_SECONDS", 0.0)
    monkeypatch.setattr(erasure, "breathe", lambda took: breathed.append(left()))

    def left() -> int:
        with home.read() as uow:
            return len(traces.list_traces(uow, actor).items)

    admin = {"authorization": f"Bearer {key_of(home, actor, Role.ADMIN)}"}
    wanted = {"experiment_id": "0", "request_ids": [f"tr-{one.trace_id}" for one in made]}
    answer = http.post(f"{API}/traces/delete-traces", json=wanted, headers=admin)
    assert answer.json() == {"traces_deleted": 4}
    assert sorted(set(breathed)) == [1, 2, 3, 4], "it rests before each of them"


def test_assessments_have_twins_in_feedback(http: TestClient, home: Home, actor: Actor) -> None:
    post_spans(http, otlp())
    said: dict[str, Any] = {
        "correct": {"feedback": {"value": "yes"}},
        "Is it Fast?": {"feedback": {"value": 0.5}},
        "tone": {"feedback": {"value": "friendly"}},
        "labels": {"feedback": {"value": ["a"]}},
        "failed": {"feedback": {"error": {"error_code": "X"}}},
        "expected_response": {"expectation": {"value": "42"}},
    }
    source = {"source_type": "LLM_JUDGE", "source_id": "gpt"}
    for name, value in said.items():
        body = {"assessment": {"assessment_name": name, "source": source, "rationale": "why", **value}}
        answer = http.post(f"{NEW}/traces/tr-{TRACE}/assessments", json=body)
        assert answer.status_code == 200, answer.text
    with home.read() as uow:
        given = feedback.list_feedback(uow, actor, trace_id=TRACE)
    assert {(one.name, one.number, one.text) for one in given} == {
        ("correct", 1.0, None),
        ("is_it_fast_", 0.5, None),
        ("comment", None, "tone: friendly"),
        ("correction", None, "42"),
    }
    assert {(one.source, one.comment) for one in given} == {("judge:gpt", "why")}
    info = http.get(f"{NEW}/traces/tr-{TRACE}").json()["trace"]["trace_info"]
    assert [one["assessment_name"] for one in info["assessments"]] == list(said)
    for one in info["assessments"]:
        http.delete(f"{NEW}/traces/tr-{TRACE}/assessments/{one['assessment_id']}")
    with home.read() as uow:
        assert feedback.list_feedback(uow, actor, trace_id=TRACE) == []


def test_a_prompt_beside_a_model_of_the_same_name(http: TestClient, home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        registry.create(uow, actor, name="triage")
        body = Body(kind=Kind.CHAT, messages=({"role": "user", "content": "x"}, {"placeholder": "history"}))
        prompts.add_version(uow, actor, name="triage", body=body)
    found = http.get(f"{API}/registered-models/search").json()["registered_models"]
    assert [one["name"] for one in found] == ["triage", "triage.prompt"]
    version = http.get(f"{API}/model-versions/get", params={"name": "triage.prompt", "version": "1"}).json()
    tags = {one["key"]: one["value"] for one in version["model_version"]["tags"]}
    assert msgspec.json.decode(tags["mlflow.prompt.text"])[1] == {"role": "user", "content": "{{history}}"}


def test_artifacts_stay_below_their_root(http: TestClient) -> None:
    proxy = "/mlflow/api/2.0/mlflow-artifacts/artifacts"
    run = http.post(f"{API}/runs/create", json={"experiment_id": "0"}).json()["run"]["info"]["run_id"]
    assert http.put(f"{proxy}/{run}/a.txt", content=b"alpha").status_code == 200
    assert http.put(f"{proxy}/{run}/%2e%2e/b.txt", content=b"x").status_code in (400, 404)
    assert http.put(f"{proxy}/absent/a.txt", content=b"x").json()["error_code"] == "RESOURCE_DOES_NOT_EXIST"
    assert http.put(f"{proxy}/models/x/1/a", content=b"x").json()["error_code"] == "INVALID_PARAMETER_VALUE"
    got = http.get(f"{proxy}/{run}/a.txt")
    assert (got.content, got.headers["content-type"].split(";")[0]) == (b"alpha", "text/plain")
    assert got.headers["content-disposition"] == "attachment"
    listed = http.get(f"{API}/artifacts/list", params={"run_id": run}).json()["files"]
    assert listed == [{"path": "a.txt", "is_dir": False, "file_size": 5}]
    assert http.delete(f"{proxy}/{run}/a.txt").status_code == 200
    assert http.get(f"{proxy}", params={"path": run}).json() == {"files": []}
