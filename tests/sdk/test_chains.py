"""Prompts one after another: each answer feeds the next, each step is a span."""

import json
from types import SimpleNamespace
from typing import Any

import pytest

import penstock
from penstock.sdk.client import Client
from penstock.sdk.prompts import Rendered
from tests.sdk.fake_server import FakeServer


def script(server: FakeServer, name: str, text: str, variables: list[str], **body: Any) -> None:
    declared = [{"name": each} for each in variables]
    server.answer(f"GET /api/v1/prompts/{name}", {"name": name, "labels": {"latest": 1, "live": 1}})
    server.answer(
        f"GET /api/v1/prompts/{name}/versions/1",
        {"number": 1, "body": {"kind": "text", "text": text, "variables": declared, **body}},
    )


@pytest.fixture
def client(traced: FakeServer) -> Client:
    server = traced
    script(server, "find-facts", "Facts of {{ mail }}", ["mail"], output_schema={"type": "object"})
    script(
        server,
        "reply",
        "Reply in {{ tone }} to {{ mail }} knowing {{ summary }}",
        ["tone", "mail", "summary"],
    )
    script(server, "sum", "Sum up {{ mail }}", ["mail"], settings={"model": "m", "temperature": 0})
    return Client(server.url, "psk_1")


def test_each_answer_is_a_variable_of_what_follows(client: Client) -> None:
    seen: list[str] = []

    def ask(rendered: Rendered) -> str:
        seen.append(rendered.text)
        return f"answer {len(seen)}"

    found = penstock.chain(
        [
            penstock.Step(prompt="sum@live", gives="summary"),
            penstock.Step(prompt="reply@1", variables={"tone": "French"}),
        ],
        {"mail": "M", "tone": "English", "unused": 1},
        ask=ask,
        client=client,
    )
    assert seen == ["Sum up M", "Reply in French to M knowing answer 1"]
    assert (found.text, str(found)) == ("answer 2", "answer 2")
    assert [(step.name, step.rendered.ref) for step in found.steps] == [
        ("summary", "sum@1"),
        ("reply", "reply@1"),
    ]
    assert found.values == {
        "mail": "M",
        "tone": "English",
        "unused": 1,
        "summary": "answer 1",
        "reply": "answer 2",
    }


def test_an_openai_client_is_asked_with_the_settings_and_the_trace(client: Client) -> None:
    calls: list[dict[str, Any]] = []

    def create(**given: Any) -> Any:
        calls.append(given)
        return SimpleNamespace(choices=[SimpleNamespace(message=SimpleNamespace(content="short"))])

    openai = SimpleNamespace(chat=SimpleNamespace(completions=SimpleNamespace(create=create)))
    step = penstock.Step(prompt="sum", own={"model": "other", "extra_headers": {"x-own": "1"}})
    found = penstock.chain([step], {"mail": "M"}, ask=openai, client=client)
    (call,) = calls
    headers = call.pop("extra_headers")
    assert call == {"model": "other", "temperature": 0, "messages": [{"role": "user", "content": "Sum up M"}]}
    assert (headers["x-penstock-prompt"], headers["x-own"]) == ("sum@1", "1")
    assert headers["traceparent"].split("-")[1] == found.trace_id


def test_an_answer_with_a_schema_is_read(client: Client) -> None:
    found = penstock.chain(
        [penstock.Step(prompt="find-facts")], {"mail": "M"}, ask=lambda _: json.dumps({"a": 1}), client=client
    )
    assert found.values["find_facts"] == {"a": 1}
    with pytest.raises(
        penstock.RenderError, match="find-facts@1 has an output schema, but its answer is not JSON"
    ):
        penstock.chain([penstock.Step(prompt="find-facts")], {"mail": "M"}, ask=lambda _: "no", client=client)


def test_what_is_missing_or_fails_ends_the_chain(client: Client) -> None:
    with pytest.raises(penstock.RenderError, match="'mail' needs a value"):
        penstock.chain([penstock.Step(prompt="sum")], {}, ask=lambda _: "x", client=client)
    with pytest.raises(penstock.SdkError, match="at least one step"):
        penstock.chain([], {}, ask=lambda _: "x", client=client)

    def fails(_: Rendered) -> str:
        raise ValueError("the model is away")

    with pytest.raises(ValueError, match="away"):
        penstock.chain([penstock.Step(prompt="sum")], {"mail": "M"}, ask=fails, client=client)


def test_each_step_is_a_span_of_one_trace(traced: FakeServer) -> None:
    script(traced, "sum", "Sum up {{ mail }}", ["mail"])
    script(traced, "reply", "Reply to {{ sum }}", ["sum"])
    found = penstock.chain(
        [penstock.Step(prompt="sum"), penstock.Step(prompt="reply")],
        {"mail": "M"},
        ask=lambda rendered: rendered.text.upper(),
        name="answering",
        client=Client(traced.url, "psk_1"),
    )
    penstock.flush()
    spans = {span["name"]: span for span in traced.spans()}
    assert set(spans) == {"answering", "sum", "reply"}
    assert {span["traceId"] for span in spans.values()} == {found.trace_id}
    assert spans["reply"]["parentSpanId"] == spans["answering"]["spanId"]
    assert spans["reply"]["attributes"]["gen_ai.prompt.name"] == "reply"
    assert spans["reply"]["attributes"]["gen_ai.prompt.version"] == "1"
    assert found.text == "REPLY TO SUM UP M"
