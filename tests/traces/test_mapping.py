import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.core.errors import Invalid
from penstock.core.scope import Scope
from penstock.traces import dialects, mapping, otlp, prices
from penstock.traces.model import SpanRecord
from penstock.traces.store.prepare import prepare
from tests.traces.otlp_build import as_json, request

START = 1_790_000_000_000_000_000


def records(message: Any) -> list[SpanRecord]:
    """Map a request sent as protobuf and as JSON; both must say the same."""
    found = [
        mapping.to_record(span, prices.cost) for span in otlp.decode(message.SerializeToString(), "protobuf")
    ]
    assert found == [mapping.to_record(span, prices.cost) for span in otlp.decode(as_json(message), "json")]
    return found


def mapped(attributes: dict[str, Any], **given: Any) -> SpanRecord:
    (found,) = records(request({"attributes": attributes, "start_ns": START, **given}))
    return found


PARTS = [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}]
PARTS_OUT = [{"role": "assistant", "parts": [{"type": "text", "content": "yo"}]}]
DIALECTS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "gen_ai, messages on the span": (
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
            "gen_ai.usage.input_tokens": 1000,
            "gen_ai.usage.cache_read.input_tokens": 400,
            "gen_ai.usage.output_tokens": 100,
            "gen_ai.usage.reasoning.output_tokens": 30,
            "gen_ai.conversation.id": "s1",
            "gen_ai.response.time_to_first_chunk": 0.25,
            "gen_ai.prompt.name": "triage",
            "gen_ai.prompt.version": "3",
            "gen_ai.input.messages": json.dumps(PARTS),
            "gen_ai.output.messages": [{"role": "assistant", "parts": []}],
            "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "be brief"}]),
            "user.id": "ada",
            "custom.key": "kept",
        },
        {
            "kind": "llm",
            "provider": "openai",
            "requested_model": "gpt-4o-mini",
            "model": "gpt-4o-mini-2024-07-18",
            "input_tokens": 1000,
            "cached_tokens": 400,
            "output_tokens": 100,
            "reasoning_tokens": 30,
            "session": "s1",
            "user": "ada",
            "ttft_ns": 250_000_000,
            "prompt": "triage@3",
            "cost_usd": pytest.approx((600 * 0.15 + 400 * 0.075 + 100 * 0.6) / 1e6),
            "input": [
                {"role": "system", "parts": [{"type": "text", "content": "be brief"}]},
                *PARTS,
            ],
            "output": [{"role": "assistant", "parts": []}],
        },
    ),
    "gen_ai before 1.37, messages as events": (
        {
            "gen_ai.operation.name": "chat",
            "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.usage.prompt_tokens": 7,
            "gen_ai.usage.completion_tokens": 3,
        },
        {
            "kind": "llm",
            "provider": "openai",
            "model": "gpt-4o",
            "input_tokens": 7,
            "output_tokens": 3,
            "input": [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}],
            "output": [{"role": "assistant", "parts": [{"type": "text", "content": "yo"}]}],
        },
    ),
    "openinference": (
        {
            "openinference.span.kind": "LLM",
            "llm.provider": "anthropic",
            "llm.model_name": "claude-sonnet-4-5-20250929",
            "llm.token_count.prompt": 50,
            "llm.token_count.completion": 10,
            "llm.token_count.total": 60,
            "llm.token_count.prompt_details.cache_read": 20,
            "llm.token_count.prompt_details.cache_write": 10,
            "llm.input_messages.0.message.role": "user",
            "llm.input_messages.0.message.content": "hi",
            "llm.input_messages.1.message.role": "assistant",
            "llm.input_messages.1.message.tool_calls.0.tool_call.function.name": "f",
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.contents.0.message_content.text": "yo",
            "input.value": "hi",
            "output.value": "yo",
            "session.id": "s2",
            "tag.tags": ["a", "b"],
            "metadata": '{"tier": "gold", "n": 3}',
        },
        {
            "kind": "llm",
            "provider": "anthropic",
            "model": "claude-sonnet-4-5-20250929",
            "input_tokens": 50,
            "output_tokens": 10,
            "cached_tokens": 20,
            "cache_write_tokens": 10,
            "session": "s2",
            "tags": ("a", "b"),
            "metadata": {"service.name": "shop", "tier": "gold", "n": "3"},
            "cost_usd": pytest.approx((20 * 3 + 20 * 0.3 + 10 * 3.75 + 10 * 15) / 1e6),
            "input": [
                {"role": "user", "parts": [{"type": "text", "content": "hi"}]},
                {"role": "assistant", "parts": [{"type": "tool_call", "name": "f"}]},
            ],
            "output": [{"role": "assistant", "parts": [{"type": "text", "content": "yo"}]}],
        },
    ),
    "traceloop of today": (
        {
            "llm.request.type": "chat",
            "gen_ai.system": "Anthropic",
            "gen_ai.request.model": "claude-haiku-4-5",
            "gen_ai.usage.input_tokens": 10,
            "gen_ai.usage.cache_read_input_tokens": 100,
            "gen_ai.usage.cache_creation_input_tokens": 50,
            "gen_ai.usage.output_tokens": 5,
            "gen_ai.prompt.0.role": "user",
            "gen_ai.prompt.0.content": "hi",
            "gen_ai.completion.0.content": "yo",
            "traceloop.association.properties.session_id": "s3",
            "traceloop.association.properties.plan": "pro",
        },
        {
            "kind": "llm",
            "provider": "anthropic",
            "input_tokens": 160,
            "cached_tokens": 100,
            "cache_write_tokens": 50,
            "session": "s3",
            "metadata": {"service.name": "shop", "plan": "pro"},
            "cost_usd": pytest.approx((10 * 1 + 100 * 0.1 + 50 * 1.25 + 5 * 5) / 1e6),
            "input": [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}],
            "output": [{"role": "assistant", "parts": [{"type": "text", "content": "yo"}]}],
        },
    ),
    "traceloop workflow": (
        {
            "traceloop.span.kind": "workflow",
            "traceloop.entity.input": '{"q": 1}',
            "traceloop.entity.output": "done",
        },
        {"kind": "chain", "input": {"q": 1}, "output": "done"},
    ),
    "agents carry no tokens of their own": (
        {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.usage.input_tokens": 900,
            "gen_ai.request.model": "gpt-4o",
        },
        {"kind": "agent", "input_tokens": 0, "cost_usd": None},
    ),
    "tool": (
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "weather",
            "gen_ai.tool.call.arguments": '{"city": "Paris"}',
            "gen_ai.tool.call.result": "sunny",
        },
        {"kind": "tool", "input": {"city": "Paris"}, "output": "sunny"},
    ),
    "langfuse": (
        {
            "langfuse.observation.type": "generation",
            "langfuse.observation.model.name": "gpt-4o",
            "langfuse.observation.usage_details": '{"input": 5, "output": 6}',
            "langfuse.observation.cost_details": '{"total": 0.5}',
            "langfuse.observation.input": "hi",
            "langfuse.trace.tags": ["t"],
            "langfuse.trace.metadata.team": "x",
            "langfuse.observation.completion_start_time": "2026-09-21T14:13:20.500Z",
        },
        {
            "kind": "llm",
            "model": "gpt-4o",
            "input_tokens": 5,
            "output_tokens": 6,
            "cost_usd": 0.5,
            "price_version": "given",
            "tags": ("t",),
            "input": [{"role": "user", "parts": [{"type": "text", "content": "hi"}]}],
        },
    ),
    "vercel ai": (
        {
            "ai.operationId": "ai.streamText.doStream",
            "ai.model.id": "gpt-4o",
            "ai.usage.promptTokens": 4,
            "ai.usage.completionTokens": 2,
            "ai.response.msToFirstChunk": 120.5,
            "ai.prompt.messages": '[{"role":"user"}]',
            "ai.response.text": "yo",
        },
        {"kind": "llm", "model": "gpt-4o", "input_tokens": 4, "ttft_ns": 120_500_000, "output": PARTS_OUT},
    ),
    "mlflow": (
        {"mlflow.spanType": "RETRIEVER", "mlflow.spanInputs": '{"q": "x"}', "mlflow.spanOutputs": "[1]"},
        {"kind": "retriever", "input": {"q": "x"}, "output": [1]},
    ),
    "plain http": ({"http.request.method": "GET"}, {"kind": "http"}),
    "nothing known": ({}, {"kind": "other", "input": None, "model": None}),
}


@pytest.mark.parametrize("name", DIALECTS)
def test_each_dialect_says_the_same_things(name: str) -> None:
    attributes, expected = DIALECTS[name]
    events = ()
    if "events" in name:
        events = (
            ("gen_ai.user.message", START, {"content": "hi"}),
            ("gen_ai.choice", START + 1, {"index": 0, "message": '{"content": "yo"}'}),
            ("other", START, {}),
        )
    found = mapped(attributes, events=events)
    for field, value in expected.items():
        actual = getattr(found, field)
        if field in ("input", "output") and actual is not None:
            actual = json.loads(actual)
        assert actual == value, field


def test_what_no_table_knows_is_kept_and_what_is_mapped_is_not_repeated() -> None:
    found = mapped({"custom.key": [1, {"a": True}], "gen_ai.request.model": "m", "gen_ai.request.top_p": 0.5})
    assert found.parameters == {"top_p": 0.5}
    assert found.attributes == {
        "custom.key": [1, {"a": True}],
        "resource": {"service.name": "shop"},
        "scope": {"name": "tests"},
    }


def test_a_second_dialect_in_the_same_span_adds_nothing_twice_and_loses_nothing() -> None:
    attributes = DIALECTS["gen_ai, messages on the span"][0] | {
        "llm.token_count.prompt": 1000,
        "llm.model_name": "other-name",
        "llm.input_messages.0.message.content": "hi",
        "llm.input_messages.1.message.content": "not said elsewhere",
    }
    found = mapped(attributes)
    assert found.input_tokens == 1000
    assert "llm.token_count.prompt" not in found.attributes
    assert found.attributes["llm.model_name"] == "other-name"
    assert found.attributes["llm.input_messages.1.message.content"] == "not said elsewhere"
    assert "llm.input_messages.0.message.content" not in found.attributes


def test_errors_come_from_the_exception_then_the_status() -> None:
    exception = ("exception", START, {"exception.type": "ValueError", "exception.message": "bad"})
    assert mapped({}, status=2, message="failed", events=(exception,)).error == "ValueError: bad"
    assert mapped({}, status=2, message="failed").error == "failed"
    assert mapped({"error.type": "timeout"}, status=2).error == "timeout"
    assert mapped({}, status=2).status == "error"
    assert mapped({}, status=1, message="x").error is None


def test_vectors_shrink_to_their_length() -> None:
    attributes = {
        "embedding.embeddings.0.embedding.vector": [0.5] * 100,
        "openinference.span.kind": "EMBEDDING",
    }
    found = mapped(attributes)
    assert found.attributes["embedding.embeddings.0.embedding.vector"] == "(100 numbers)"


@pytest.mark.parametrize("depth", [100, 400, 900, 5000])
@pytest.mark.parametrize("form", ['{"message":', "[", '{"content":[', '{"messages":[{"content":', '{"a":'])
def test_documents_of_any_depth_are_stored(depth: int, form: str) -> None:
    closing = "".join("]" if char == "[" else "}" for char in reversed(form) if char in "[{")
    nested = form * depth + '"x"' + closing * depth
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.input.messages": nested,
        "gen_ai.output.messages": nested,
        "gen_ai.system_instructions": nested,
        "gen_ai.tool.definitions": nested,
        "metadata": nested,
    }
    for kind in ("chat", "retrieval", "invoke_agent"):
        found = mapped(attributes | {"gen_ai.operation.name": kind})
        assert prepare(Scope(), found).body


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
known_keys = sorted(
    {key for dialect in dialects.DIALECTS for keys in dialect.fields.values() for key in keys}
    | set(dialects.KIND_ORDER)
    | {
        f"{prefix}.0.x"
        for dialect in dialects.DIALECTS
        for names in dialect.lists.values()
        for prefix in names
    }
    | {
        f"{prefix}x"
        for dialect in dialects.DIALECTS
        for names in dialect.prefixes.values()
        for prefix in names
    }
    | {"llm.input_messages.0.message.content", "gen_ai.prompt.0", "gen_ai.prompt.0.1.2.x", "llm.prompts.²"}
    | {"llm.input_messages.0.message.contents.0.message_content.image", "evaluations.0.evaluation.name"}
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(known_keys) | st.text(), json_values, max_size=8))
def test_any_value_under_any_key_is_stored(attributes: dict[str, Any]) -> None:
    span = mapping.OtlpSpan(
        trace_id="a" * 32,
        span_id="b" * 16,
        parent_id="",
        name="x",
        start_ns=START,
        end_ns=START,
        status_code=0,
        status_message="",
        attributes=attributes,
        events=[("exception", 1, attributes), ("gen_ai.choice", 2, attributes)],
        resource=attributes,
        scope={},
    )
    assert prepare(Scope(), mapping.to_record(span, prices.cost)).body


def read(data: bytes, encoding: Any) -> str:
    """Take a body through everything before the database; anything but Invalid is a bug and passes through."""
    try:
        for span in otlp.decode(data, encoding):
            if isinstance(span, Invalid):  # the others of the request are read
                return "refused"
            prepare(Scope(), mapping.to_record(span, prices.cost))
    except Invalid:
        return "refused"
    return "read"


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(["protobuf", "json"]))
def test_garbage_is_refused_or_read_never_a_crash(data: bytes, encoding: Any) -> None:
    assert read(data, encoding) in ("refused", "read")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_broken_requests_are_refused_or_read(data: st.DataObject) -> None:
    message = request({"attributes": DIALECTS["openinference"][0]}, {"attributes": {"x": [1, {"y": b"z"}]}})
    encoding = data.draw(st.sampled_from(["protobuf", "json"]))
    raw = bytearray(message.SerializeToString() if encoding == "protobuf" else as_json(message))
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    assert read(bytes(raw), encoding) in ("refused", "read")


@settings(max_examples=150, deadline=None)
@given(json_values)
def test_json_of_another_shape_is_refused_or_read(value: Any) -> None:
    for wrapped in (value, {"resourceSpans": value}, {"resourceSpans": [{"scopeSpans": [{"spans": value}]}]}):
        assert read(json.dumps(wrapped).encode(), "json") in ("refused", "read")
