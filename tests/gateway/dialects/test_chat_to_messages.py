"""Chat requests for Anthropic models: what goes along, what is emulated, what is refused."""

import base64
from typing import Any

import pytest

from penstock.core.errors import Invalid
from penstock.gateway.dialects.chat_to_messages import ONLY_JSON, takes_budgets, translate_request

USER = {"role": "user", "content": "x"}
CACHED = {"type": "ephemeral", "ttl": "1h"}
TOOLS = [{"type": "function", "function": {"name": name}} for name in ("f", "g")]
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
IMAGE = {"type": "image_url", "image_url": {"url": "https://x.example/a.png"}}
SIGNED = {"type": "thinking", "thinking": "hm", "signature": "s1"}
SEALED = {"type": "redacted_thinking", "data": "xyz"}


def made(model: str = "claude-opus-4-6", drop: bool = False, **members: Any) -> dict[str, Any]:
    return translate_request({"messages": [USER], **members}, model, drop=drop)


def refusal(**members: Any) -> Any:
    with pytest.raises(Invalid) as caught:
        made(**members)
    return caught.value.details["param"]


def blocks(*messages: dict[str, Any]) -> list[dict[str, Any]]:
    return made(messages=list(messages))["messages"]


# -- thinking ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "budgets"),
    [
        ("claude-3-7-sonnet-20250219", True),
        ("claude-sonnet-4-20250514", True),
        ("claude-haiku-4-5-20251001", True),
        ("anthropic/claude-sonnet-4.5", True),
        ("claude-opus-4-6", False),
        ("claude-sonnet-5", False),
        ("claude-opus-5-1-20260901", False),
        ("my-claude", False),
    ],
)
def test_which_models_think_with_a_budget(model: str, budgets: bool) -> None:
    assert takes_budgets(model) is budgets


def test_an_effort_for_models_that_adapt() -> None:
    out = made(reasoning_effort="minimal")
    assert (out["thinking"], out["output_config"]) == ({"type": "adaptive"}, {"effort": "low"})
    assert made(reasoning_effort="none")["thinking"] == {"type": "disabled"}
    kept = made(reasoning_effort="high", thinking={"type": "enabled", "budget_tokens": 2000})
    assert kept["thinking"]["budget_tokens"] == 2000 and kept["output_config"] == {"effort": "high"}
    assert made(reasoning_effort="high", output_config={"effort": "max"})["output_config"] == {
        "effort": "max"
    }


def test_an_effort_for_models_with_budgets() -> None:
    old = "claude-sonnet-4-5"
    free = made(old, reasoning_effort="medium")
    assert free["thinking"] == {"type": "enabled", "budget_tokens": 8192}
    assert free["max_tokens"] == 4096 + 8192, "there is room left for the answer"
    tight = made(old, reasoning_effort="medium", max_completion_tokens=3000)
    assert (tight["thinking"]["budget_tokens"], tight["max_tokens"]) == (2999, 3000)
    assert refusal(model=old, reasoning_effort="low", max_tokens=1000) == "reasoning_effort"
    assert refusal(reasoning_effort="enormous") == "reasoning_effort"
    assert "thinking" not in made(old, drop=True, reasoning_effort="enormous")


def test_a_budget_of_the_callers_own_gets_room() -> None:
    thinking = {"type": "enabled", "budget_tokens": 10_000}
    assert made(thinking=thinking)["max_tokens"] == 14_096
    assert made(thinking=thinking, max_tokens=12_000)["max_tokens"] == 12_000


def test_thoughts_come_first_and_unsigned_ones_stay_here() -> None:
    said = {
        "role": "assistant",
        "content": "so",
        "reasoning_content": "hm",
        "thinking_blocks": [SIGNED, SEALED, {"type": "thinking", "thinking": "unsigned"}],
        "tool_calls": [CALL],
    }
    result = {"role": "tool", "tool_call_id": "c1", "content": ""}
    assert [block["type"] for block in blocks(USER, said, result)[1]["content"]] == [
        "thinking",
        "redacted_thinking",
        "text",
        "tool_use",
    ]
    assert blocks(USER, said, result)[1]["content"][:2] == [SIGNED, SEALED]


def test_calls_without_their_thoughts_go_on_without_thinking() -> None:
    bare = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    result = {"role": "tool", "tool_call_id": "c1", "content": "1"}
    old = "claude-sonnet-4-5"
    assert "thinking" not in made(old, messages=[USER, bare, result], reasoning_effort="low")
    thought = bare | {"thinking_blocks": [SIGNED]}
    assert "thinking" in made(old, messages=[USER, thought, result], reasoning_effort="low")
    assert "thinking" in made(
        old, messages=[USER, {"role": "assistant", "content": "a"}, USER], reasoning_effort="low"
    )


# -- prompt cache ------------------------------------------------------------------------------------------


def test_cache_points_everywhere() -> None:
    part = {"type": "text", "text": "x", "cache_control": CACHED}
    out = made(
        messages=[
            {"role": "system", "content": [part, {"type": "text", "text": "y"}]},
            {"role": "user", "content": [part]},
            {"role": "assistant", "content": [part], "tool_calls": [CALL | {"cache_control": CACHED}]},
            {"role": "tool", "tool_call_id": "c1", "content": [part], "cache_control": CACHED},
        ],
        tools=[TOOLS[0] | {"cache_control": CACHED}],
        cache_control={"type": "ephemeral"},
    )
    assert out["system"] == [part, {"type": "text", "text": "y"}]
    assert out["messages"][0]["content"] == [part]
    assert [block["cache_control"] for block in out["messages"][1]["content"]] == [CACHED, CACHED]
    result = out["messages"][2]["content"][0]
    assert result["cache_control"] == CACHED and result["content"] == [part]
    assert out["tools"][0]["cache_control"] == CACHED and out["cache_control"] == {"type": "ephemeral"}


def test_openais_own_cache_points() -> None:
    part = {"type": "text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit"}}
    long = part | {"prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}}
    assert [block["cache_control"] for block in content(part, long)] == [{"type": "ephemeral"}, CACHED]


# -- contents ----------------------------------------------------------------------------------------------


def content(*parts: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = blocks({"role": "user", "content": list(parts)})[0]["content"]
    return found


def file(media: str, data: bytes, **more: Any) -> dict[str, Any]:
    url = f"data:{media};base64,{base64.b64encode(data).decode()}"
    return {"type": "file", "file": {"file_data": url, **more}}


def test_documents() -> None:
    pdf = content(file("application/pdf", b"%PDF", filename="a.pdf", citations={"enabled": True}))[0]
    assert pdf["source"] == {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}
    assert pdf["title"] == "a.pdf" and pdf["citations"] == {"enabled": True}
    text = content(file("text/markdown", "né".encode()))[0]
    assert text["source"] == {"type": "text", "media_type": "text/plain", "data": "né"}
    url = content({"type": "file", "file": {"file_data": "https://x.example/a.pdf"}})[0]
    assert url["source"] == {"type": "url", "url": "https://x.example/a.pdf"}


@pytest.mark.parametrize(
    ("part", "param"),
    [
        ({"type": "file", "file": {"file_id": "file-1"}}, "file.file_id"),
        (file("application/zip", b"PK"), "file.file_data"),
        (file("text/plain", b"\xff"), "file.file_data"),
        ({"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}, "content[0]"),
        ({"type": "image_url", "image_url": {"url": "data:image/bmp;base64,AA=="}}, "image_url.url"),
        ({"type": "image_url", "image_url": {}}, "image_url.url"),
        ({"type": "video_url", "video_url": {"url": "https://x.example"}}, "content[0]"),
    ],
)
def test_parts_that_are_refused(part: dict[str, Any], param: str) -> None:
    for drop in (False, True):  # leaving out what was said would be another question
        with pytest.raises(Invalid) as caught:
            made(drop=drop, messages=[{"role": "user", "content": [part]}])
        assert caught.value.details["param"].endswith(param)


def test_blank_text_is_left_out_only_beside_something() -> None:
    bare = {"role": "assistant", "content": "\n\n", "tool_calls": [CALL]}
    result = {"role": "tool", "tool_call_id": "c1", "content": "1"}
    assert [block["type"] for block in blocks(USER, bare, result)[1]["content"]] == ["tool_use"]
    assert content({"type": "text", "text": ""}, {"type": "text", "text": "a"}) == [
        {"type": "text", "text": "a"}
    ]
    assert content({"type": "text", "text": " "}) == [{"type": "text", "text": " "}]


def test_names_become_words() -> None:
    ada, bob = ({"role": "user", "content": "hi", "name": name} for name in ("ada", "bob"))
    assert [block["text"] for block in blocks(ada, bob)[0]["content"]] == ["ada: hi", "bob: hi"]
    shown = blocks({"role": "user", "name": "ada", "content": [IMAGE]})[0]["content"]
    assert shown[0] == {"type": "text", "text": "ada: "} and shown[1]["type"] == "image"
    alone = {"role": "assistant", "content": "yes", "name": "planner"}
    assert blocks(USER, alone, USER)[1]["content"][0]["text"] == "yes"
    two = blocks(USER, alone, USER, alone | {"name": "critic"})
    assert [two[1]["content"][0]["text"], two[3]["content"][0]["text"]] == ["planner: yes", "critic: yes"]


def test_a_refusal_is_what_the_assistant_said() -> None:
    said = {"role": "assistant", "content": None, "refusal": "I will not."}
    assert blocks(USER, said, USER)[1]["content"] == [{"type": "text", "text": "I will not."}]


def test_prefilled_answers_stay_last() -> None:
    assert blocks(USER, {"role": "assistant", "content": "{"})[-1] == {
        "role": "assistant",
        "content": [{"type": "text", "text": "{"}],
    }


def test_system_messages_in_between_join_the_system_prompt() -> None:
    out = made(messages=[USER, {"role": "developer", "content": "Be kind."}, USER])
    assert out["system"] == "Be kind." and len(out["messages"]) == 1


# -- tools -------------------------------------------------------------------------------------------------


def test_results_of_one_turn_are_one_message() -> None:
    calls = [CALL, CALL | {"id": "functions.g:1"}]
    image = {"type": "image_url", "image_url": {"url": "data:image/jpg;base64,AA=="}}
    out = blocks(
        USER,
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": [image]},
        {"role": "tool", "tool_call_id": "functions.g:1", "content": "no", "is_error": True},
        {"role": "user", "content": "and?"},
    )
    assert [block["id"] for block in out[1]["content"]] == ["c1", "functions_g_1"]
    first, second, text = out[2]["content"]
    assert first["content"][0]["source"]["media_type"] == "image/jpeg"
    assert second == {
        "type": "tool_result",
        "tool_use_id": "functions_g_1",
        "content": "no",
        "is_error": True,
    }
    assert text["text"] == "and?"


@pytest.mark.parametrize(
    ("choice", "expected", "names"),
    [
        ("auto", {"type": "auto"}, ["f", "g"]),
        ("none", {"type": "none"}, ["f", "g"]),
        ("required", {"type": "any"}, ["f", "g"]),
        ({"type": "function", "function": {"name": "g"}}, {"type": "tool", "name": "g"}, ["f", "g"]),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [TOOLS[1]]}},
            {"type": "any"},
            ["g"],
        ),
    ],
)
def test_choices(choice: Any, expected: dict[str, Any], names: list[str]) -> None:
    out = made(tools=TOOLS, tool_choice=choice)
    assert out["tool_choice"] == expected and [tool["name"] for tool in out["tools"]] == names


def test_one_call_at_a_time() -> None:
    out = made(tools=TOOLS, parallel_tool_calls=False)
    assert out["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert made(tools=TOOLS, parallel_tool_calls=False, tool_choice="none")["tool_choice"] == {"type": "none"}
    assert "tool_choice" not in made(parallel_tool_calls=False)


def test_schemas_without_a_type_get_one_and_native_tools_pass() -> None:
    native = {"type": "web_search_20250305", "name": "web_search"}
    plain = {"type": "function", "function": {"name": "f", "parameters": {"properties": {"a": {}}}}}
    assert made(tools=[native, plain])["tools"] == [
        native,
        {"name": "f", "input_schema": {"type": "object", "properties": {"a": {}}}},
    ]


# -- formats and the rest ----------------------------------------------------------------------------------


def test_open_objects_of_a_schema_are_closed() -> None:
    inner = {"type": "object", "properties": {"type": {"type": "string"}}}
    schema = {
        "type": "object",
        "properties": {"a": inner, "b": {"type": "array", "items": {"$ref": "#/$defs/c"}}},
        "$defs": {"c": {"anyOf": [inner, {"type": "object", "additionalProperties": True}]}},
    }
    out = made(
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema}},
        output_config={"effort": "low"},
    )
    got = out["output_config"]["format"]["schema"]
    assert out["output_config"]["effort"] == "low"
    assert got["additionalProperties"] is got["properties"]["a"]["additionalProperties"] is False
    assert got["properties"]["a"]["properties"] == {"type": {"type": "string"}}
    assert [each["additionalProperties"] for each in got["$defs"]["c"]["anyOf"]] == [False, True]
    assert "additionalProperties" not in schema, "the caller's own is left alone"


def test_json_mode_is_asked_for_in_words() -> None:
    assert made(response_format={"type": "json_object"})["system"] == ONLY_JSON
    told = made(
        messages=[{"role": "system", "content": "Be."}, USER], response_format={"type": "json_object"}
    )
    assert told["system"] == f"Be.\n\n{ONLY_JSON}"


@pytest.mark.parametrize(
    ("tier", "expected"),
    [("auto", None), ("default", "standard_only"), ("priority", "auto"), ("standard_only", "standard_only")],
)
def test_tiers(tier: str, expected: str | None) -> None:
    assert made(service_tier=tier).get("service_tier") == expected


@pytest.mark.parametrize("name", ["user", "safety_identifier"])
def test_who_asks(name: str) -> None:
    assert made(**{name: "ada"})["metadata"] == {"user_id": "ada"}
    assert made(metadata={"user_id": "bob", "x": "y"})["metadata"] == {"user_id": "bob"}


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"seed": 1}, "seed"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"prediction": {"type": "content", "content": "x"}}, "prediction"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"audio": {"voice": "alloy", "format": "wav"}}, "audio"),
        ({"web_search_options": {}}, "web_search_options"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"function_call": "auto"}, "function_call"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"moderation": {"model": "m"}}, "moderation"),
    ],
)
def test_members_that_are_refused_or_dropped(members: dict[str, Any], param: str) -> None:
    assert refusal(**members) == param
    assert set(made(drop=True, **members)) == {"model", "max_tokens", "messages"}


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "tools[0]"),
        ({"tools": TOOLS, "tool_choice": {"type": "custom", "custom": {"name": "f"}}}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        (
            {"tools": TOOLS, "tool_choice": {"type": "allowed_tools", "allowed_tools": {}}},
            "tool_choice.allowed_tools.tools",
        ),
        ({"max_tokens": "many"}, "max_completion_tokens"),
        ({"messages": [USER, {"role": "function", "name": "f", "content": "1"}]}, "messages[1].role"),
        (
            {"messages": [USER, {"role": "assistant", "function_call": {"name": "f"}}]},
            "messages[1].function_call",
        ),
        ({"messages": [USER, {"role": "assistant", "audio": {"id": "a"}}]}, "messages[1].audio"),
        (
            {"messages": [USER, {"role": "assistant", "tool_calls": [CALL | {"id": None}]}]},
            "messages[1].tool_calls[0].id",
        ),
        (
            {
                "messages": [
                    USER,
                    {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {}}]},
                ]
            },
            "messages[1].tool_calls[0]",
        ),
        ({"messages": [USER, {"role": "assistant", "thinking_blocks": "hm"}]}, "messages[1].thinking_blocks"),
        (
            {
                "messages": [
                    {"role": "system", "content": [{"type": "image_url", "image_url": "https://x.example"}]},
                    USER,
                ]
            },
            "messages[0].content",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(members: dict[str, Any], param: str) -> None:
    assert refusal(**members) == param
