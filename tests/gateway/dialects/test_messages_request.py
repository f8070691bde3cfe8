"""Anthropic callers' requests as chat requests: what goes along, what is emulated, what is refused."""

from typing import Any

import pytest

from penstock.core.errors import Invalid
from penstock.gateway.dialects.messages_request import is_strict, translate_request

USER = {"role": "user", "content": "x"}
CACHED = {"type": "ephemeral"}
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}
PNG_PART = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
CALL = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}
SIGNED = {"type": "thinking", "thinking": "hm", "signature": "s"}
SEALED = {"type": "redacted_thinking", "data": "xyz"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}


def made(model: str = "m", extensions: bool = True, drop: bool = False, **members: Any) -> dict[str, Any]:
    body = {"max_tokens": 5, "messages": [USER], **members}
    return translate_request(body, model, extensions=extensions, drop=drop)


def messages(*given: dict[str, Any], extensions: bool = True) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = made(messages=list(given), extensions=extensions)["messages"]
    return found


def user(*blocks: dict[str, Any], extensions: bool = True) -> list[dict[str, Any]]:
    return messages({"role": "user", "content": list(blocks)}, extensions=extensions)


def result(content: Any, **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": "t1", "content": content, **more}


def test_thoughts_go_along_where_they_are_understood() -> None:
    said = {"role": "assistant", "content": [SIGNED, SEALED, {"type": "text", "text": "so"}, CALL]}
    (_, kept) = messages(USER, said)
    assert kept["reasoning_content"] == "hm" and kept["thinking_blocks"] == [SIGNED, SEALED]
    assert kept["content"] == "so" and kept["tool_calls"][0]["function"]["arguments"] == '{"a":1}'
    (_, plain) = messages(USER, said, extensions=False)
    assert set(plain) == {"role", "content", "tool_calls"}
    unsigned = {"role": "assistant", "content": [SIGNED | {"signature": ""}]}
    assert messages(USER, unsigned)[1] == {"role": "assistant", "content": "", "reasoning_content": "hm"}


def test_what_some_servers_take() -> None:
    said = {"role": "assistant", "content": [SIGNED, CALL | {"cache_control": CACHED}]}
    failed = result([{"type": "text", "text": "no", "cache_control": CACHED}], is_error=True)
    body = {"messages": [USER, said, {"role": "user", "content": [failed]}], "thinking": {"type": "adaptive"}}
    thoughts = translate_request(body, "m", extensions=False, takes={"reasoning_content", "thinking"})
    assert thoughts["messages"][1]["reasoning_content"] == "hm" and thoughts["thinking"] == {
        "type": "enabled"
    }
    assert "thinking_blocks" not in thoughts["messages"][1] and "cache_control" not in str(thoughts)
    off = body | {"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}
    quiet = translate_request(off, "m", extensions=False, takes={"thinking"})
    assert quiet["thinking"] == {"type": "disabled"} and "reasoning_effort" not in quiet
    cached = translate_request(body, "m", extensions=False, takes={"cache_control"})
    assert cached["messages"][1]["tool_calls"][0]["cache_control"] == CACHED
    assert cached["messages"][2]["content"] == [{"type": "text", "text": "Error: "}, failed["content"][0]]
    assert "reasoning_content" not in cached["messages"][1] and "thinking" not in cached


def test_cache_points_go_along_where_they_are_understood() -> None:
    text = {"type": "text", "text": "x", "cache_control": CACHED}
    members: dict[str, Any] = {
        "system": [text, {"type": "text", "text": "y"}],
        "messages": [
            {"role": "user", "content": [text]},
            {"role": "assistant", "content": [text, CALL | {"cache_control": CACHED}]},
            {"role": "user", "content": [result([text], cache_control=CACHED)]},
        ],
        "tools": [{"name": "f", "input_schema": SCHEMA, "cache_control": CACHED}],
        "cache_control": CACHED,
    }
    out = made(**members)
    system, first, second, third = out["messages"]
    assert system["content"] == [text, {"type": "text", "text": "y"}]
    assert first["content"] == second["content"] == third["content"] == [text]
    assert [each["cache_control"] for each in (second["tool_calls"][0], third, out["tools"][0])] == [
        CACHED
    ] * 3
    plain = made(extensions=False, **members)
    assert "cache_control" not in str(plain)
    assert [each["content"] for each in plain["messages"]] == ["x\n\ny", "x", "x", "x"]


def test_results_of_tools() -> None:
    first, second, rest = user(
        result("one"),
        {"type": "tool_result", "tool_use_id": "t2", "content": [{"type": "text", "text": "two"}, PNG]},
        {"type": "text", "text": "and?"},
    )
    assert first == {"role": "tool", "tool_call_id": "t1", "content": "one"}
    assert second["content"] == [{"type": "text", "text": "two"}, PNG_PART]
    assert rest == {"role": "user", "content": "and?"}
    assert user(result("no", is_error=True))[0]["is_error"] is True
    assert user({"type": "tool_result", "tool_use_id": "t1"})[0]["content"] == ""


def test_results_of_tools_for_servers_that_take_only_text() -> None:
    assert user(result("no", is_error=True), extensions=False) == [
        {"role": "tool", "tool_call_id": "t1", "content": "Error: no"}
    ]
    tool, beside = user(result([PNG]), {"type": "text", "text": "and?"}, extensions=False)
    assert tool["content"] == "What it gave follows."
    assert beside["content"] == [
        {"type": "text", "text": "What the tool call t1 gave:"},
        PNG_PART,
        {"type": "text", "text": "and?"},
    ]


def test_documents() -> None:
    pdf = {"type": "document", "title": "a.pdf", "context": "From Ada."}
    source = {"type": "base64", "media_type": "application/pdf", "data": "AA=="}
    (got,) = user(pdf | {"source": source}, extensions=False)
    assert got["content"] == [
        {"type": "text", "text": "a.pdf\nFrom Ada."},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="}},
    ]
    text = {"type": "text", "media_type": "text/plain", "data": "words"}
    assert user(pdf | {"source": text})[0]["content"] == "a.pdf\nFrom Ada.\n\nwords"
    assert user({"type": "document", "source": text})[0]["content"] == "words"
    inner = {"type": "content", "content": [{"type": "text", "text": "a"}, PNG]}
    assert user({"type": "document", "source": inner})[0]["content"] == [
        {"type": "text", "text": "a"},
        PNG_PART,
    ]
    url = {"type": "url", "url": "https://x.example/a.pdf"}
    assert user({"type": "document", "source": url})[0]["content"][0]["file"]["file_data"] == url["url"]
    found = {"type": "search_result", "title": "T", "source": "S", "content": [{"type": "text", "text": "a"}]}
    assert user(found)[0]["content"] == "T\nS\n\na"


def test_system_messages_in_between_keep_their_place() -> None:
    said = messages(USER, {"role": "system", "content": [{"type": "text", "text": "Be."}]}, USER)
    assert said[1] == {"role": "system", "content": "Be."}


@pytest.mark.parametrize(
    ("thinking", "config", "effort"),
    [
        ({"type": "enabled", "budget_tokens": 1024}, {}, "low"),
        ({"type": "enabled", "budget_tokens": 5000}, {}, "medium"),
        ({"type": "enabled", "budget_tokens": 50_000}, {}, "high"),
        ({"type": "enabled", "budget_tokens": 1024}, {"effort": "max"}, "max"),
        ({"type": "adaptive"}, {"effort": "low"}, "low"),
        ({"type": "adaptive"}, {}, None),
        ({"type": "disabled"}, {}, "none"),
        (None, {"effort": "xhigh"}, "xhigh"),
    ],
)
def test_thinking(thinking: Any, config: dict[str, Any], effort: str | None) -> None:
    plain = made(extensions=False, thinking=thinking, output_config=config)
    assert plain.get("reasoning_effort") == effort and "thinking" not in plain
    whole = made(thinking=thinking, output_config=config)
    assert whole.get("thinking") == thinking and whole.get("reasoning_effort") == config.get("effort")


def test_formats() -> None:
    closed = SCHEMA | {"additionalProperties": False}
    for members in (
        {"output_config": {"format": {"type": "json_schema", "schema": closed}}},
        {"output_format": {"type": "json_schema", "schema": closed}},
    ):
        assert made(**members)["response_format"] == {
            "type": "json_schema",
            "json_schema": {"name": "output", "schema": closed, "strict": True},
        }
    loose = made(output_config={"format": {"type": "json_schema", "schema": SCHEMA}})
    assert "strict" not in loose["response_format"]["json_schema"]


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        ({"type": "object", "properties": {}, "additionalProperties": False}, True),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, False),
        ({"type": "array", "items": SCHEMA}, False),
        ({"$defs": {"a": SCHEMA}, "type": "string"}, False),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, True),
    ],
)
def test_which_schemas_are_strict(schema: Any, strict: bool) -> None:
    assert is_strict(schema) is strict


def test_tools_and_choices() -> None:
    tools = [{"name": "f", "input_schema": SCHEMA, "description": "d", "strict": True, "type": "custom"}]
    out = made(tools=tools, tool_choice={"type": "any", "disable_parallel_tool_use": True})
    function = {"name": "f", "parameters": SCHEMA, "description": "d", "strict": True}
    assert out["tools"] == [{"type": "function", "function": function}]
    assert out["tool_choice"] == "required" and out["parallel_tool_calls"] is False
    named = made(tools=tools, tool_choice={"type": "tool", "name": "f"})
    assert named["tool_choice"] == {"type": "function", "function": {"name": "f"}}
    shown = made(tools=[tools[0] | {"input_examples": [{"a": "b"}]}])
    assert shown["tools"][0]["function"]["description"] == 'd\n\nExamples of its input:\n{"a":"b"}'


def test_members() -> None:
    out = made(
        stop_sequences=["END"], service_tier="standard_only", top_k=3, seed=1, metadata={"user_id": "ada"},
        context_management={"edits": []}, speed="standard", stream=True,
    )  # fmt: skip
    assert (out["stop"], out["service_tier"], out["top_k"], out["seed"], out["user"]) == (
        ["END"],
        "default",
        3,
        1,
        "ada",
    )
    assert out["stream_options"] == {"include_usage": True} and "context_management" not in out
    long = made(metadata={"user_id": "a" * 65})["user"]
    assert len(long) == 64 and long == made(metadata={"user_id": "a" * 65})["user"]


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4o", "max_tokens"),
        ("openai/gpt-5-mini", "max_completion_tokens"),
        ("o3", "max_completion_tokens"),
        ("gpt-oss-20b", "max_tokens"),
    ],
)
def test_the_limit_has_two_names(model: str, name: str) -> None:
    assert made(model)[name] == 5


def test_what_may_be_dropped() -> None:
    out = made(
        extensions=False,
        drop=True,
        top_k=3,
        mcp_servers=[{}],
        thinking={"type": "disabled"},
        output_config={"task_budget": {}},
    )
    assert set(out) == {"model", "messages", "max_tokens"}


DOCUMENT = {"type": "document", "source": {"type": "text", "data": "a"}}


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"mcp_servers": [{}]}, "mcp_servers"),
        ({"container": "c"}, "container"),
        ({"inference_geo": "eu"}, "inference_geo"),
        ({"speed": "fast"}, "speed"),
        ({"output_config": {"task_budget": {}}}, "output_config.task_budget"),
        ({"output_config": {"format": {"type": "grammar"}}}, "output_config.format"),
        ({"thinking": {"type": "sometimes"}}, "thinking"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0]"),
        (
            {"tools": [{"name": "f", "input_schema": {}, "allowed_callers": ["code_execution_20260120"]}]},
            "tools[0].allowed_callers",
        ),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tool_choice": {"type": "maybe"}}, "tool_choice"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"system": [PNG]}, "system[0]"),
        (
            {"messages": [USER, {"role": "assistant", "content": [{"type": "server_tool_use"}]}]},
            "messages[1].content[0]",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "container_upload", "file_id": "f"}]}]},
            "messages[0].content[0]",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}}],
                    }
                ]
            },
            "messages[0].content[0].source",
        ),
        (
            {"messages": [{"role": "user", "content": [DOCUMENT | {"citations": {"enabled": True}}]}]},
            "messages[0].content[0].citations",
        ),
    ],
)
def test_what_is_refused(members: dict[str, Any], param: str) -> None:
    with pytest.raises(Invalid) as caught:
        made(**members)
    assert caught.value.details["param"] == param


def test_documents_by_url_need_someone_who_fetches_them() -> None:
    block = {"type": "document", "source": {"type": "url", "url": "https://x.example/a.pdf"}}
    with pytest.raises(Invalid, match="fetches no documents"):
        user(block, extensions=False)
