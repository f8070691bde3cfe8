"""Gemini callers in front of other families: recorded payloads both ways, Google's client's types as oracle."""

from typing import Any

import msgspec
import pytest
from google.genai import types
from hypothesis import assume, given
from hypothesis import strategies as st

from penstock.core.errors import Invalid, Upstream
from penstock.gateway.dialects import chat_to_gemini, gemini_counting, gemini_request
from penstock.gateway.dialects.chained import Chained
from penstock.gateway.dialects.chat_over_messages import ChatOverMessages
from penstock.gateway.dialects.counting import MEDIA_TOKENS, estimate_tokens
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.dialects.gemini_embeddings import GeminiOverEmbeddings
from penstock.gateway.dialects.gemini_over_chat import GeminiOverChat, GeminiOverChatRelay, translate_answer
from penstock.gateway.dialects.gemini_schema import json_schema
from penstock.gateway.dialects.sse import EventBuffer, payload
from tests.fakes import anthropic as fake_anthropic
from tests.fakes import openai as fake_openai
from tests.gateway.dialects.test_gemini import CUTS, PNG, SCHEMA, TEXT, streamed

OPEN_SCHEMA = {
    "type": "OBJECT",
    "properties": {
        "type": {"type": "STRING", "enum": ["a"], "nullable": True},
        "list": {"type": "ARRAY", "items": {"type": "INTEGER"}, "minItems": "1", "max_items": 3},
        "any": {"anyOf": [{"type": "NUMBER"}, {"type": "BOOLEAN", "description": "d"}]},
    },
    "required": ["list"],
    "propertyOrdering": ["list", "type"],
}
PLAIN_SCHEMA = {
    "type": "object",
    "properties": {
        "type": {"type": ["string", "null"], "enum": ["a", None]},
        "list": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3},
        "any": {"anyOf": [{"type": "number"}, {"type": "boolean", "description": "d"}]},
    },
    "required": ["list"],
}
HI: list[dict[str, Any]] = [{"role": "user", "parts": [{"text": "Hi"}]}]


def translated(body: dict[str, Any], **more: Any) -> dict[str, Any]:
    return gemini_request.translate_request(body, "gpt", stream=False, **more)


def snaked(value: Any) -> Any:
    """Return a request with every name that the API knows in snake case."""
    if isinstance(value, dict):
        kept = ("args", "response", "properties", "parametersJsonSchema")
        return {
            gemini_request.snake(key): each if key in kept else snaked(each) for key, each in value.items()
        }
    return [snaked(each) for each in value] if isinstance(value, list) else value


BODY: dict[str, Any] = {
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "contents": [
        {
            "role": "user",
            "parts": [
                {"text": "What is this?"},
                {"inlineData": {"mimeType": "image/png", "data": PNG}},
                {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://x.example/a"}},
                {"inlineData": {"mimeType": "application/pdf", "data": PNG, "displayName": "a.pdf"}},
                {"inlineData": {"mimeType": "audio/wav", "data": PNG}},
            ],
        },
        {
            "role": "model",
            "parts": [
                {"text": "Hm.", "thought": True},
                {"text": "Wait."},
                {"functionCall": {"name": "f", "args": {"camelCase": 1}}, "thoughtSignature": "c2ln"},
                {"functionCall": {"name": "f", "args": {}, "id": "mine"}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "f", "response": {"result": 1}}},
                {"functionResponse": {"name": "f", "id": "mine", "response": {"output": "two"}}},
                {"text": "And?"},
            ],
        },
    ],
    "generationConfig": {
        "temperature": 0.5,
        "topP": 0.25,
        "maxOutputTokens": 9,
        "stopSequences": ["x"],
        "candidateCount": 2,
        "seed": 4,
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "responseLogprobs": True,
        "logprobs": 2,
        "responseModalities": ["TEXT"],
        "responseMimeType": "application/json",
        "responseSchema": OPEN_SCHEMA,
        "thinkingConfig": {"thinkingBudget": 8000, "includeThoughts": True},
    },
    "tools": [
        {
            "functionDeclarations": [
                {"name": "f", "description": "d", "parametersJsonSchema": SCHEMA},
                {"name": "g", "parameters": OPEN_SCHEMA},
            ]
        }
    ],
    "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f", "g"]}},
    "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
    "labels": {"team": "a"},
}


@pytest.mark.parametrize("body", [BODY, snaked(BODY)])
def test_a_whole_conversation_becomes_a_chat_request(body: dict[str, Any]) -> None:
    assert translated(body, extensions=False) == {
        "model": "gpt",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                    {"type": "image_url", "image_url": {"url": "https://x.example/a"}},
                    {
                        "type": "file",
                        "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PNG}"},
                    },
                    {"type": "input_audio", "input_audio": {"data": PNG, "format": "wav"}},
                ],
            },
            {
                "role": "assistant",
                "content": "Wait.",
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "f", "arguments": '{"camelCase":1}'},
                    },
                    {"id": "mine", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": '{"result":1}'},
            {"role": "tool", "tool_call_id": "mine", "content": "two"},
            {"role": "user", "content": "And?"},
        ],
        "temperature": 0.5,
        "top_p": 0.25,
        "max_completion_tokens": 9,
        "stop": ["x"],
        "n": 2,
        "seed": 4,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "logprobs": True,
        "top_logprobs": 2,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "response", "schema": PLAIN_SCHEMA},
        },
        "reasoning_effort": "medium",
        "tools": [
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}},
            {"type": "function", "function": {"name": "g", "parameters": PLAIN_SCHEMA}},
        ],
        "tool_choice": "required",
        "metadata": {"team": "a"},
    }


def test_what_only_some_providers_understand_is_said_where_it_may_be() -> None:
    body = BODY | {
        "safetySettings": [{"threshold": "BLOCK_LOW_AND_ABOVE"}],
        "cachedContent": "cachedContents/1",
    }
    made = translated(body)
    assistant = made["messages"][2]
    assert assistant["reasoning_content"] == "Hm."
    assert assistant["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "c2ln"}}
    assert made["safety_settings"] == body["safetySettings"] and made["cached_content"] == "cachedContents/1"


@pytest.mark.parametrize(
    ("config", "choice", "tools"),
    [
        ({"mode": "AUTO"}, "auto", ["f", "g"]),
        ({"mode": "VALIDATED"}, "auto", ["f", "g"]),
        ({"mode": "NONE"}, "none", ["f", "g"]),
        ({"mode": "any"}, "required", ["f", "g"]),
        (
            {"mode": "ANY", "allowed_function_names": ["g"]},
            {"type": "function", "function": {"name": "g"}},
            ["g"],
        ),
        ({}, None, ["f", "g"]),
    ],
)
def test_tool_choice(config: Any, choice: Any, tools: list[str]) -> None:
    made = translated(BODY | {"toolConfig": {"functionCallingConfig": config}})
    assert made.get("tool_choice") == choice
    assert [tool["function"]["name"] for tool in made["tools"]] == tools


@pytest.mark.parametrize(
    ("thinking", "effort"),
    [
        ({"thinkingBudget": 0}, "none"),
        ({"thinkingBudget": -1}, None),
        ({"thinkingBudget": 500}, "low"),
        ({"thinkingBudget": 20000}, "high"),
        ({"thinkingLevel": "HIGH"}, "high"),
        ({"includeThoughts": True}, None),
    ],
)
def test_thinking(thinking: Any, effort: str | None) -> None:
    made = translated({"contents": HI, "generationConfig": {"thinkingConfig": thinking}})
    assert made.get("reasoning_effort") == effort


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"contents": []}, "contents"),
        ({"contents": [{"role": "system", "parts": []}]}, "contents[0].role"),
        ({"contents": [{"parts": [{"videoMetadata": {}}]}]}, "contents[0].parts[0]"),
        ({"contents": [{"parts": [{"fileData": {"fileUri": "gs://b/a.pdf"}}]}]}, "contents[0].parts[0]"),
        ({"contents": [{"role": "model", "parts": [{"executableCode": {}}]}]}, "contents[0]"),
        (
            {"contents": [{"parts": [{"functionResponse": {"name": "f"}}]}]},
            "contents[0].parts[0].functionResponse",
        ),
        (
            {"contents": [{"parts": [{"functionResponse": {"name": "f", "parts": [{}]}}]}]},
            "contents[0].parts[0]",
        ),
        ({"somethingNew": 1}, "somethingNew"),
        ({"generationConfig": {"speechConfig": {}}}, "generationConfig.speechConfig"),
        ({"generationConfig": {"responseModalities": ["AUDIO"]}}, "generationConfig.responseModalities"),
        ({"generationConfig": {"responseMimeType": "text/x.enum"}}, "generationConfig.responseMimeType"),
        ({"generationConfig": []}, "generationConfig"),
        ({"tools": [{"googleSearch": {}}]}, "tools[0].googleSearch"),
        ({"tools": [{"functionDeclarations": [{}]}]}, "tools[0].functionDeclarations[0]"),
        ({"toolConfig": {"functionCallingConfig": {"mode": "SOMETIMES"}}}, "toolConfig"),
        ({"cachedContent": "cachedContents/1"}, "cachedContent"),
        ({"safetySettings": [{"threshold": "BLOCK_LOW_AND_ABOVE"}]}, "safetySettings"),
    ],
)
def test_what_cannot_be_said_is_refused(change: dict[str, Any], param: str) -> None:
    with pytest.raises(Invalid) as caught:
        translated({"contents": HI} | change, extensions=False)
    assert caught.value.details["param"] == param


ANY = st.sampled_from([None, 0, 1.5, True, "", "x", [], [1], ["a"], [[]], [{}], {}, {"a": 1}, {"parts": 1}])


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value inside `value`."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, each in inner for found in places(each, (*path, key)))]


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Return a copy of `value` with `new` at `path`."""
    if not path:
        return new
    made = value.copy()
    made[path[0]] = put(value[path[0]], path[1:], new)
    return made


@given(st.sampled_from([path for path in places(BODY) if path]), ANY)
def test_whatever_is_sent_is_translated_or_refused(path: tuple[Any, ...], new: Any) -> None:
    body = put(BODY, path, new)
    for translate in (translated, lambda given: gemini_counting.estimate(envelope_of(given))):
        try:
            msgspec.json.encode(translate(body))
        except Invalid as error:
            assert error.details["code"] in ("invalid_value", "unsupported_parameter")


CHAT = translated(BODY) | {
    "thinking": {"type": "enabled", "budget_tokens": 5},
    "modalities": ["text", "image"],
}


@given(st.sampled_from([path for path in places(CHAT) if path]), ANY)
def test_whatever_chat_is_sent_is_translated_or_refused(path: tuple[Any, ...], new: Any) -> None:
    try:
        msgspec.json.encode(chat_to_gemini.translate_request(put(CHAT, path, new), "gemini-3-pro"))
    except Invalid as error:
        assert error.details["code"] in ("invalid_value", "unsupported_parameter")


@given(
    st.recursive(
        st.fixed_dictionaries({"type": st.sampled_from(["STRING", "NUMBER", "BOOLEAN"])}),
        lambda inner: (
            st.fixed_dictionaries(
                {"type": st.just("OBJECT"), "properties": st.dictionaries(TEXT, inner, max_size=3)}
            )
            | st.fixed_dictionaries({"type": st.just("ARRAY"), "items": inner})
        ),
        max_leaves=8,
    )
)
def test_schemas_keep_their_names_and_lose_their_capitals(schema: dict[str, Any]) -> None:
    def lowered(given: dict[str, Any]) -> dict[str, Any]:
        made = given | {"type": given["type"].lower()}
        if "properties" in made:
            made["properties"] = {key: lowered(each) for key, each in made["properties"].items()}
        if "items" in made:
            made["items"] = lowered(made["items"])
        return made

    assert json_schema(schema) == lowered(schema)


PARTS = st.lists(st.fixed_dictionaries({"text": TEXT}), min_size=1, max_size=1)
ARGUMENTS = st.dictionaries(TEXT, st.integers(0, 9) | TEXT | st.none(), max_size=2)


@given(st.lists(st.tuples(PARTS, st.lists(ARGUMENTS, max_size=2), TEXT), max_size=3), TEXT)
def test_requests_survive_the_round_trip(turns: list[Any], last: str) -> None:
    contents: list[dict[str, Any]] = []
    for number, (parts, calls, text) in enumerate(turns):
        contents.append({"role": "user", "parts": parts})
        made = [
            {"functionCall": {"id": f"{number}-{at}", "name": "f", "args": each}}
            for at, each in enumerate(calls)
        ]
        contents.append({"role": "model", "parts": [{"text": text}, *made]})
        if calls:
            results = [
                {"functionResponse": {"id": f"{number}-{at}", "name": "f", "response": {"output": text}}}
                for at in range(len(calls))
            ]
            contents += [{"role": "user", "parts": results}, {"role": "model", "parts": [{"text": "So."}]}]
    contents.append({"role": "user", "parts": [{"text": last}]})
    body = {
        "contents": contents,
        "systemInstruction": {"parts": [{"text": "s"}]},
        "generationConfig": {"maxOutputTokens": 7, "topK": 2, "stopSequences": ["z"]},
    }
    assume(not any(text.lstrip().startswith("{") for *_, text in turns))  # such results are objects, not text
    assert chat_to_gemini.translate_request(translated(body), "gemini-2.5-flash") == body


# -- answers -----------------------------------------------------------------------------------------------


def answered(completion: dict[str, Any]) -> types.GenerateContentResponse:
    made = translate_answer(msgspec.json.encode(completion), "alias")
    return types.GenerateContentResponse.model_validate(msgspec.json.decode(made.body))


def test_an_answer_with_everything() -> None:
    message = {
        "role": "assistant",
        "content": "Hello",
        "reasoning_content": "Hm.",
        "images": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}],
        "tool_calls": [
            fake_openai.TOOL | {"extra_content": {"google": {"thought_signature": "c2ln"}}},
            {"id": "c2", "type": "function", "function": {"name": "g", "arguments": ""}},
        ],
    }
    made = fake_openai.completion("gpt", message, "tool_calls")
    made["choices"][0]["logprobs"] = {
        "content": [{"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "b", "logprob": -1.0}]}]
    }
    found = answered(made)
    candidate = found.candidates[0]
    assert [part.model_dump(exclude_none=True) for part in candidate.content.parts] == [
        {"text": "Hm.", "thought": True},
        {"text": "Hello"},
        {"inline_data": {"mime_type": "image/png", "data": b"\x89PNG\r\n\x1a\n"}},
        {
            "function_call": {"id": "call_1", "name": "weather", "args": {"city": "Oslo"}},
            "thought_signature": b"sig",
        },
        {"function_call": {"id": "c2", "name": "g", "args": {}}},
    ]
    assert candidate.finish_reason == "STOP" and candidate.avg_logprobs == -0.5
    assert candidate.logprobs_result.top_candidates[0].candidates[0].token == "b"
    assert found.model_version == "alias" and found.response_id == "chatcmpl-fake1"
    assert found.usage_metadata.model_dump(exclude_none=True) == {
        "prompt_token_count": 42,
        "candidates_token_count": 5,
        "thoughts_token_count": 2,
        "cached_content_token_count": 10,
        "total_token_count": 49,
    }


@pytest.mark.parametrize(
    ("finish", "expected"),
    [
        ("stop", "STOP"),
        ("length", "MAX_TOKENS"),
        ("content_filter", "SAFETY"),
        ("tool_calls", "STOP"),
        (None, "STOP"),
    ],
)
def test_finish_reasons(finish: Any, expected: str) -> None:
    found = answered(fake_openai.completion("gpt", {"role": "assistant", "content": "a"}, finish))
    assert found.candidates[0].finish_reason == expected


@pytest.mark.parametrize("arguments", ["{", "[1]", "nonsense"])
def test_broken_arguments_have_a_reason(arguments: str) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": arguments}}
    found = answered(fake_openai.completion("gpt", {"content": None, "tool_calls": [call]}, "tool_calls"))
    assert found.candidates[0].finish_reason == "MALFORMED_FUNCTION_CALL" and not found.function_calls


@pytest.mark.parametrize("body", [b"[]", b"{}", b"<html>", b'{"choices":[]}', b'{"choices":[1]}'])
def test_what_is_no_completion_is_refused(body: bytes) -> None:
    with pytest.raises(Upstream):
        translate_answer(body, "alias")


def events_of(out: bytes) -> list[types.GenerateContentResponse]:
    return [
        types.GenerateContentResponse.model_validate(msgspec.json.decode(payload(event)))
        for event in EventBuffer().feed(out)
    ]


@given(st.booleans(), CUTS)
def test_a_stream_says_what_the_whole_answer_says(tools: bool, cuts: list[int]) -> None:
    request: dict[str, Any] = {"model": "gpt", "stream_options": {"include_usage": True}}
    if tools:
        request["tools"] = [{}]
    relay = GeminiOverChatRelay("alias")
    out = streamed(relay, b"".join(fake_openai.chat_events(request)), cuts)
    assert relay.complete and relay.fault is None and relay.model == "gpt-2026"
    found = events_of(out)
    assert [bool(event.candidates[0].finish_reason) for event in found] == [False] * (len(found) - 1) + [True]
    assert found[-1].usage_metadata.total_token_count == 49
    assert all(event.model_version == "alias" and event.response_id == "chatcmpl-fake1" for event in found)
    whole = types.GenerateContentResponse.model_validate(msgspec.json.decode(relay.output()))
    if tools:
        assert (
            found[-1].function_calls[0].args == {"city": "Oslo"}
            and found[-1].function_calls[0].id == "call_1"
        )
        assert whole.function_calls == found[-1].function_calls
    else:
        assert "".join(event.text or "" for event in found) == "".join(fake_openai.WORDS) == whole.text
    assert whole.usage_metadata == found[-1].usage_metadata


def test_a_stream_without_its_end_is_not_complete() -> None:
    events = fake_openai.chat_events({"model": "gpt"})
    relay = GeminiOverChatRelay("alias")
    out = streamed(relay, b"".join(events[:3]), [])
    assert not relay.complete and b"finishReason" not in out
    ended = GeminiOverChatRelay("alias")
    assert b'"finishReason":"STOP"' in streamed(ended, b"".join(events[:-1]), []) and ended.complete
    broken = GeminiOverChatRelay("alias")
    streamed(broken, events[0] + b'data: {"error":{"message":"Crashed."}}\n\n', [])
    assert broken.fault is not None and broken.fault.message == "Crashed."


@given(CUTS)
def test_through_chat_to_another_family(cuts: list[int]) -> None:
    dialect = Chained(GeminiOverChat(), ChatOverMessages())
    body = {"contents": HI, "tools": [{"functionDeclarations": [{"name": "weather"}]}]}
    envelope = Envelope(msgspec.json.encode(body), model="alias", stream=True)
    sent = msgspec.json.decode(dialect.request(envelope, "claude"))
    assert (
        sent["messages"] == [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}] and sent["stream"]
    )
    relay = dialect.relay(envelope)
    events = fake_anthropic.events({"model": "claude", "tools": [{}]})
    found = events_of(streamed(relay, b"".join(events), cuts))
    assert "".join(event.text or "" for event in found[:-1]) == "".join(fake_anthropic.TEXTS)
    assert found[-1].function_calls[0].args == {"city": "Oslo"}
    assert found[-1].usage_metadata.prompt_token_count == 28 and relay.complete


# -- embeddings and counts ---------------------------------------------------------------------------------


def envelope_of(body: Any) -> Envelope:
    return Envelope(msgspec.json.encode(body), model="alias", stream=False)


def test_embeddings_of_other_providers() -> None:
    one = {
        "model": "models/alias",
        "content": {"parts": [{"text": "a"}, {"text": "b"}]},
        "taskType": "CLUSTERING",
    }
    single, batch = GeminiOverEmbeddings(batch=False), GeminiOverEmbeddings(batch=True)
    assert msgspec.json.decode(single.request(envelope_of(one | {"output_dimensionality": 2}), "emb")) == {
        "model": "emb",
        "input": ["ab"],
        "encoding_format": "float",
        "dimensions": 2,
    }
    made = msgspec.json.decode(batch.request(envelope_of({"requests": [one, one]}), "emb"))
    assert made["input"] == ["ab", "ab"]
    rows = {
        "data": [{"index": 1, "embedding": [2.0]}, {"index": 0, "embedding": [1.0]}],
        "usage": {"prompt_tokens": 5},
    }
    answer = batch.answer(msgspec.json.encode(rows), "alias")
    assert msgspec.json.decode(answer.body) == {"embeddings": [{"values": [1.0]}, {"values": [2.0]}]}
    assert answer.usage is not None and answer.usage.input == 5
    assert msgspec.json.decode(single.answer(msgspec.json.encode(rows), "alias").body) == {
        "embedding": {"values": [1.0]}
    }


@pytest.mark.parametrize(
    ("batch", "body", "param"),
    [
        (True, {"requests": []}, "requests"),
        (False, {"content": {"parts": [{"inlineData": {}}]}}, "content"),
        (False, {"content": {"parts": [{"text": "a"}]}, "other": 1}, "other"),
        (
            True,
            {
                "requests": [
                    {"content": {"parts": [{"text": "a"}]}, "outputDimensionality": at} for at in (1, 2)
                ]
            },
            "outputDimensionality",
        ),
    ],
)
def test_embeddings_that_cannot_be_asked_for(batch: bool, body: Any, param: str) -> None:
    with pytest.raises(Invalid) as caught:
        GeminiOverEmbeddings(batch=batch).request(envelope_of(body), "emb")
    assert caught.value.details["param"] == param


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("a", 1), ("a" * 400, 100), ("世界", 2), ("abcd世", 2), ("ж" * 30, 20)]
)
def test_tokens_are_estimated_by_bytes(text: str, tokens: int) -> None:
    assert estimate_tokens(text.encode()) == tokens


@given(st.text(), st.text())
def test_more_text_is_never_fewer_tokens(one: str, two: str) -> None:
    first, second = one.encode("utf-8", "replace"), two.encode("utf-8", "replace")
    both = estimate_tokens(first + second)
    assert max(estimate_tokens(first), estimate_tokens(second)) <= both
    assert both <= estimate_tokens(first) + estimate_tokens(second)


def test_counts_are_estimated() -> None:
    found = msgspec.json.decode(gemini_counting.estimate(envelope_of({"contents": HI})))
    assert found == {"totalTokens": 5}
    more = msgspec.json.decode(gemini_counting.estimate(envelope_of({"generateContentRequest": BODY})))
    assert more["totalTokens"] > 4 * MEDIA_TOKENS
    assert types.CountTokensResponse.model_validate(found).total_tokens == 5
    with pytest.raises(Invalid, match="contents"):
        gemini_counting.estimate(envelope_of({}))
