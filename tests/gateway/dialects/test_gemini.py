"""Chat over Gemini's generateContent: recorded payloads both ways, the types of Google's own client as oracle."""

from typing import Any

import msgspec
import pytest
from google.genai import types
from hypothesis import given
from hypothesis import strategies as st

from penstock.core.errors import Invalid, Upstream
from penstock.gateway.dialects import chat_to_gemini, gemini_request, gemini_to_chat
from penstock.gateway.dialects.chat_over_gemini import ChatOverGemini
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.dialects.gemini import GeminiDialect, GeminiRelay, read_fault
from penstock.gateway.dialects.gemini_embeddings import EmbeddingsOverGemini, EmbeddingsOverVertex
from penstock.gateway.dialects.gemini_to_chat import ChatOverGeminiRelay, translate_answer
from penstock.gateway.dialects.sse import EventBuffer, payload
from penstock.traces import prices
from tests.fakes import gemini as fake

PNG = fake.PNG
SIGNED = {"extra_content": {"google": {"thought_signature": fake.SIGNATURE}}}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
USER: list[dict[str, Any]] = [{"role": "user", "content": "Hi"}]
TOOL = {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}}


def call(identity: str, name: str, arguments: str, **more: Any) -> dict[str, Any]:
    return {"id": identity, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def translated(body: dict[str, Any], model: str = "gemini-2.5-flash", **more: Any) -> dict[str, Any]:
    """Return the request, which Google's own types must allow."""
    made = chat_to_gemini.translate_request(body, model, **more)
    for name, value in made.items():
        if name != "contents":
            assert fake.complaint({"contents": [{"parts": []}], name: value}) == ""
    for content in made["contents"]:
        types.Content.model_validate(content)
    return made


def test_a_whole_conversation_becomes_a_gemini_request() -> None:
    body = {
        "model": "route",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                    {"type": "image_url", "image_url": {"url": "https://x.example/a.jpg?b=c"}},
                    {
                        "type": "file",
                        "file": {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PNG}"},
                    },
                    {"type": "file", "file": {"file_id": "gs://bucket/b.mp4", "format": "video/mp4"}},
                    {"type": "input_audio", "input_audio": {"data": PNG, "format": "mp3"}},
                ],
            },
            {
                "role": "assistant",
                "content": "",
                "refusal": None,
                "reasoning_content": "stays here",
                "tool_calls": [call("c1", "f", '{"a":1}', **SIGNED), call("c2", "g", "")],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "one"},
            {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": '{"two": 2}'}]},
            {"role": "user", "content": "And?"},
        ],
        "max_completion_tokens": 9,
        "temperature": 1.7,
        "top_p": 0.5,
        "top_k": 3,
        "n": 2,
        "seed": 4,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "stop": "x",
        "logprobs": True,
        "top_logprobs": 2,
        "tools": [
            TOOL,
            {"type": "function", "function": {"name": "g", "strict": True}},
            {"google_search": {}},
        ],
        "parallel_tool_calls": True,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}},
        "reasoning_effort": "medium",
        "stream": True,
        "stream_options": {"include_usage": True},
        "user": "ada",
        "extra_body": {"google": {"cached_content": "cachedContents/1"}},
        "safety_settings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
    }
    assert translated(body) == {
        "systemInstruction": {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]},
        "contents": [
            {
                "role": "user",
                "parts": [
                    {"text": "What is this?"},
                    {"inlineData": {"mimeType": "image/png", "data": PNG}},
                    {"fileData": {"fileUri": "https://x.example/a.jpg?b=c", "mimeType": "image/jpeg"}},
                    {"inlineData": {"mimeType": "application/pdf", "data": PNG}},
                    {"fileData": {"fileUri": "gs://bucket/b.mp4", "mimeType": "video/mp4"}},
                    {"inlineData": {"mimeType": "audio/mp3", "data": PNG}},
                ],
            },
            {
                "role": "model",
                "parts": [
                    {
                        "functionCall": {"id": "c1", "name": "f", "args": {"a": 1}},
                        "thoughtSignature": fake.SIGNATURE,
                    },
                    {"functionCall": {"id": "c2", "name": "g", "args": {}}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {"id": "c1", "name": "f", "response": {"output": "one"}}},
                    {"functionResponse": {"id": "c2", "name": "g", "response": {"two": 2}}},
                    {"text": "And?"},
                ],
            },
        ],
        "generationConfig": {
            "maxOutputTokens": 9,
            "temperature": 1.7,
            "topP": 0.5,
            "topK": 3,
            "candidateCount": 2,
            "seed": 4,
            "presencePenalty": 0.1,
            "frequencyPenalty": 0.2,
            "stopSequences": ["x"],
            "responseLogprobs": True,
            "logprobs": 2,
            "responseMimeType": "application/json",
            "responseJsonSchema": SCHEMA,
            "thinkingConfig": {"thinkingBudget": 8192, "includeThoughts": True},
        },
        "tools": [
            {
                "functionDeclarations": [
                    {"name": "f", "description": "d", "parametersJsonSchema": SCHEMA},
                    {"name": "g"},
                ]
            },
            {"googleSearch": {}},
        ],
        "toolConfig": {"functionCallingConfig": {"mode": "VALIDATED"}},
        "cachedContent": "cachedContents/1",
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}],
    }


@pytest.mark.parametrize(
    ("choice", "config"),
    [
        ("auto", {"mode": "AUTO"}),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "f"}}, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (None, None),
    ],
)
def test_tool_choice(choice: Any, config: Any) -> None:
    made = translated({"messages": USER, "tools": [TOOL], "tool_choice": choice})
    assert made.get("toolConfig", {}).get("functionCallingConfig") == config


@pytest.mark.parametrize(
    ("members", "model", "config"),
    [
        ({"reasoning_effort": "none"}, "gemini-2.5-flash", {"thinkingBudget": 0}),
        ({"reasoning_effort": "high"}, "gemini-2.5-pro", {"thinkingBudget": 24576, "includeThoughts": True}),
        ({"reasoning_effort": "low"}, "gemini-3-pro", {"thinkingLevel": "low", "includeThoughts": True}),
        ({"reasoning_effort": "low"}, "my-alias", {"thinkingBudget": 1024, "includeThoughts": True}),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 7}},
            "gemini-3-pro",
            {"thinkingBudget": 7, "includeThoughts": True},
        ),
        ({"thinking": {"type": "disabled"}}, "gemini-2.5-pro", {"thinkingBudget": 0}),
        (
            {"thinking": {"type": "adaptive"}},
            "gemini-2.5-pro",
            {"thinkingBudget": -1, "includeThoughts": True},
        ),
        (
            {
                "extra_body": {"google": {"thinking_config": {"thinking_level": "high"}}},
                "reasoning_effort": "low",
            },
            "gemini-3-pro",
            {"thinkingLevel": "high"},
        ),
    ],
)
def test_thinking(members: dict[str, Any], model: str, config: dict[str, Any]) -> None:
    assert translated({"messages": USER, **members}, model)["generationConfig"] == {"thinkingConfig": config}


def test_calls_that_no_gemini_model_made_are_marked_for_models_that_want_signatures() -> None:
    messages = [
        *USER,
        {"role": "assistant", "content": None, "tool_calls": [call("c1", "f", "{}"), call("c2", "f", "{}")]},
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "tool", "tool_call_id": "c2", "content": "2"},
    ]
    marked = translated({"messages": messages}, "publishers/google/models/gemini-3-flash")["contents"][1][
        "parts"
    ]
    assert [part.get("thoughtSignature") for part in marked] == [chat_to_gemini.UNSIGNED, None]
    plain = translated({"messages": messages}, "gemini-2.5-flash")["contents"][1]["parts"]
    assert all("thoughtSignature" not in part for part in plain)


def test_the_signature_of_a_text_goes_back_with_it() -> None:
    messages = [*USER, {"role": "assistant", "content": "Hello", **SIGNED}, *USER]
    parts = translated({"messages": messages})["contents"][1]["parts"]
    assert parts == [{"text": "Hello", "thoughtSignature": fake.SIGNATURE}]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"logit_bias": {"1": 1}}, "logit_bias"),
        ({"never_heard_of": 1}, "never_heard_of"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"parallel_tool_calls": False, "tools": [TOOL]}, "parallel_tool_calls"),
        ({"response_format": {"type": "grammar"}}, "response_format"),
        ({"reasoning_effort": "extreme"}, "reasoning_effort"),
        ({"extra_body": {"google": {"nope": 1}}}, "extra_body.google.nope"),
    ],
)
def test_what_gemini_lacks_is_refused_or_dropped(change: dict[str, Any], param: str) -> None:
    body = {"messages": USER} | change
    with pytest.raises(Invalid) as caught:
        translated(body)
    assert caught.value.details == {"param": param, "code": "unsupported_parameter"}
    made = translated(body, drop=True)
    made.pop("tools", None)
    assert made == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "alien", "content": "x"}]}, "messages[0].role"),
        (
            {"messages": [*USER, {"role": "tool", "tool_call_id": "c9", "content": "x"}]},
            "messages[1].tool_call_id",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages[0].content[0]"),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y"}}]}
                ]
            },
            "messages[0].content[0].image_url.url",
        ),
        (
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image_url", "image_url": {"url": "ftp://x/y.png"}}],
                    }
                ]
            },
            "messages[0].content[0].image_url.url",
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": [{"type": "input_audio", "input_audio": {"format": "midi"}}]}
                ]
            },
            "messages[0].content[0]",
        ),
        ({"tools": [{"type": "function"}]}, "tools[0]"),
        ({"tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"tool_choice": "sometimes"}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"thinking": {"type": "enabled"}}, "thinking"),
    ],
)
def test_what_is_wrong_is_refused_even_when_dropping(change: dict[str, Any], param: str) -> None:
    with pytest.raises(Invalid) as caught:
        chat_to_gemini.translate_request({"messages": USER} | change, "gemini-2.5-pro", drop=True)
    assert caught.value.details["param"].startswith(param)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
ARGUMENTS = st.dictionaries(
    TEXT, st.integers(-(2**53), 2**53) | TEXT | st.none() | st.lists(st.booleans(), max_size=2), max_size=3
)
CALL = st.tuples(ARGUMENTS, st.none() | st.just(fake.SIGNATURE))
TURN = st.tuples(TEXT, TEXT, st.lists(CALL, max_size=2))


def conversation(turns: list[Any]) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for number, (question, text, calls) in enumerate(turns):
        out.append({"role": "user", "content": question})
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if calls:
            message["tool_calls"] = [
                call(
                    f"c{number}-{at}",
                    "f",
                    msgspec.json.encode(arguments).decode(),
                    **(SIGNED if signed else {}),
                )
                for at, (arguments, signed) in enumerate(calls)
            ]
        out.append(message)
        out += [
            {"role": "tool", "tool_call_id": made["id"], "content": "done"}
            for made in message.get("tool_calls", ())
        ]
        if calls:
            out.append({"role": "assistant", "content": "So."})
    return [*out, {"role": "user", "content": "end"}]


@given(st.none() | TEXT, st.lists(TURN, max_size=4))
def test_requests_survive_the_round_trip(system: str | None, turns: list[Any]) -> None:
    messages = conversation(turns)
    if system:
        messages.insert(0, {"role": "system", "content": system})
    body = {
        "messages": messages,
        "max_completion_tokens": 5,
        "stop": ["a"],
        "tools": [TOOL],
        "tool_choice": "auto",
    }
    there = translated(body)
    back = gemini_request.translate_request(there, "gpt", stream=False)
    assert back == body | {"model": "gpt"}


# -- answers -----------------------------------------------------------------------------------------------


def answered(body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(translate_answer(msgspec.json.encode(body), "route").body)
    return found


def test_an_answer_with_everything() -> None:
    parts = [
        {"text": fake.THOUGHT, "thought": True},
        {"text": "Look: "},
        {"executableCode": {"language": "PYTHON", "code": "1+1"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}},
        {"inlineData": {"mimeType": "image/png", "data": PNG}},
        {"text": "", "thoughtSignature": fake.SIGNATURE},
        *fake.CALLS,
    ]
    found = answered(fake.response(parts, groundingMetadata={"webSearchQueries": ["q"]}))
    message = found["choices"][0]["message"]
    own = message["tool_calls"][0].pop("id")
    assert own.startswith("call_")
    assert message == {
        "role": "assistant",
        "content": "Look: \n```python\n1+1\n```\n\n```\n2\n```\n",
        "refusal": None,
        "reasoning_content": fake.THOUGHT,
        "images": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}, "index": 0}],
        "tool_calls": [
            {"type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}, **SIGNED},
            call("own-id", "weather", '{"city":"Rome"}'),
        ],
        "extra_content": {
            "google": {"grounding_metadata": {"webSearchQueries": ["q"]}, "thought_signature": fake.SIGNATURE}
        },
    }
    assert found["choices"][0]["finish_reason"] == "tool_calls" and found["model"] == "route"
    assert found["id"] == "chatcmpl-resp-1"
    assert found["usage"] == {
        "prompt_tokens": 30,
        "completion_tokens": 13,
        "total_tokens": 43,
        "prompt_tokens_details": {"cached_tokens": 10},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }


def test_audio_and_images_are_counted_apart() -> None:
    told = {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 20,
        "candidatesTokenCount": 50,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 20},
            {"modality": "AUDIO", "tokenCount": 60},
            {"modality": "IMAGE", "tokenCount": 20},
        ],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 20}],
        "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 30}, {"modality": "IMAGE"}],
    }
    made = fake.response([{"text": "a"}], "STOP") | {"usageMetadata": told}
    usage = answered(made)["usage"]
    assert usage["prompt_tokens_details"] == {"cached_tokens": 20, "audio_tokens": 40, "image_tokens": 20}
    assert usage["completion_tokens_details"] == {"reasoning_tokens": 0, "audio_tokens": 30}
    native = GeminiDialect().answer(msgspec.json.encode(made), "route").usage
    assert native is not None
    assert (native.audio_input, native.image_input, native.audio_output, native.cached) == (40, 20, 30, 20)
    found = prices.cost("gemini-2.5-flash", "gemini", native)
    assert found is not None
    assert found.usd == pytest.approx((40 * 0.3 + 20 * 0.03 + 40 * 1.0 + 50 * 2.5) / 1e6)


@pytest.mark.parametrize("reason", [each.value for each in types.FinishReason])
def test_every_finish_reason_has_a_meaning(reason: str) -> None:
    made = fake.response([{"text": "a"}], reason)
    if reason in gemini_to_chat.FAILED:
        with pytest.raises(Upstream, match=reason):
            answered(made)
        return
    finish = answered(made)["choices"][0]["finish_reason"]
    expected = {"MAX_TOKENS": "length", "CONTINUATION": "length"}
    for kept in ("STOP", "OTHER", "NO_IMAGE", "IMAGE_OTHER", "FINISH_REASON_UNSPECIFIED"):
        expected[kept] = "stop"
    assert finish == expected.get(reason, "content_filter")


def test_a_blocked_prompt_is_a_refusal() -> None:
    choice = answered(fake.blocked())["choices"][0]
    assert choice["finish_reason"] == "content_filter" and choice["message"]["content"] is None
    assert "PROHIBITED_CONTENT" in choice["message"]["refusal"]


@pytest.mark.parametrize("body", [b"[]", b"{}", b"<html>", b'{"candidates":[1]}', b'{"candidates":[]}'])
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    with pytest.raises(Upstream):
        translate_answer(body, "route")


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    at = sorted({min(cut, len(stream)) for cut in cuts})
    return [stream[one:two] for one, two in zip([0, *at], [*at, len(stream)], strict=True)]


def streamed(relay: Any, stream: bytes, cuts: list[int]) -> bytes:
    out = b"".join(relay.feed(piece) for piece in pieces(stream, cuts))
    return out + relay.finish()


CUTS = st.lists(st.integers(0, 4000), max_size=30)
REQUESTS = [
    {"contents": [{"parts": []}]},
    {
        "contents": [{"parts": []}],
        "tools": [{}],
        "generationConfig": {"thinkingConfig": {"includeThoughts": True}},
    },
    {"contents": [{"parts": []}], "generationConfig": {"thinkingConfig": {"includeThoughts": True}}},
]


def without_ids(found: Any) -> Any:
    """Return chat answers without what is made anew for each."""
    if isinstance(found, dict):
        return {
            key: without_ids(value) for key, value in found.items() if key not in ("id", "created", "index")
        }
    return [without_ids(each) for each in found] if isinstance(found, list) else found


@given(st.sampled_from(REQUESTS), st.sampled_from(["plain", "image", "blocked", "limit"]), CUTS)
def test_a_stream_says_what_the_whole_answer_says(request: Any, name: str, cuts: list[int]) -> None:
    stream = b"".join(fake.sse(event) for event in fake.events(request, name))
    relay = ChatOverGeminiRelay("route", True)
    out = streamed(relay, stream, cuts)
    assert relay.complete and relay.fault is None and out.endswith(b"data: [DONE]\n\n")
    whole = answered(fake.whole(request, name))
    assert without_ids(msgspec.json.decode(relay.output())) == without_ids(whole)
    chunks = [msgspec.json.decode(payload(event)) for event in EventBuffer().feed(out)[:-1]]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks[:-1]]
    message = whole["choices"][0]["message"]
    assert "".join(delta.get("content") or "" for delta in deltas) == (message["content"] or "")
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == message.get(
        "reasoning_content", ""
    )
    calls = [made for delta in deltas for made in delta.get("tool_calls", ())]
    assert without_ids(calls) == without_ids(message.get("tool_calls", []))
    assert [made["index"] for made in calls] == list(range(len(calls)))
    assert chunks[-2]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert chunks[-1]["choices"] == [] and chunks[-1]["usage"] == whole["usage"]
    assert len({chunk["id"] for chunk in chunks}) == 1


def test_a_stream_that_only_stops_is_not_complete() -> None:
    relay = ChatOverGeminiRelay("route", False)
    out = streamed(relay, fake.sse(fake.response([{"text": "a"}], None)), [])
    assert b"[DONE]" not in out and not relay.complete


@pytest.mark.parametrize("name", ["safety", "malformed"])
def test_a_stream_that_fails_in_the_middle(name: str) -> None:
    relay = ChatOverGeminiRelay("route", False)
    out = streamed(relay, b"".join(fake.sse(event) for event in fake.events(REQUESTS[0], name)), [])
    if name == "safety":
        assert b'"finish_reason":"content_filter"' in out and relay.complete
    else:
        assert relay.fault is not None and "MALFORMED_FUNCTION_CALL: Bad." in relay.fault.message
        assert b"[DONE]" not in out and b"MALFORMED" in relay.output()


def test_two_candidates_stream_side_by_side() -> None:
    events = [
        {
            "candidates": [
                {"index": at, "content": {"parts": [{"text": text}]}} for at, text in ((1, "b"), (0, "a"))
            ]
        },
        {"candidates": [{"index": 0, "finishReason": "STOP"}]},
        {"candidates": [{"index": 1, "finishReason": "MAX_TOKENS"}]},
    ]
    relay = ChatOverGeminiRelay("route", False)
    streamed(relay, b"".join(fake.sse(event) for event in events), [])
    choices = msgspec.json.decode(relay.output())["choices"]
    assert [(each["message"]["content"], each["finish_reason"]) for each in choices] == [
        ("a", "stop"),
        ("b", "length"),
    ]
    assert relay.complete


def test_log_probabilities() -> None:
    found = answered(
        fake.whole({"contents": [{"parts": []}], "generationConfig": {"responseLogprobs": True}}, "x")
    )
    assert found["choices"][0]["logprobs"]["content"] == [
        {
            "token": "Hallo",
            "logprob": -0.5,
            "bytes": [72, 97, 108, 108, 111],
            "top_logprobs": [
                {"token": "Hallo", "logprob": -0.5, "bytes": [72, 97, 108, 108, 111]},
                {"token": "Hi", "logprob": -1.5, "bytes": [72, 105]},
            ],
        }
    ]


# -- Gemini to Gemini --------------------------------------------------------------------------------------


def test_bytes_pass_through() -> None:
    body = b'{ "contents": [ {"parts": [{"text": "model"}], "x_unknown": 1} ], "zzz": {"a":  1.50} }'
    dialect = GeminiDialect()
    assert dialect.request(Envelope(body, model="alias", stream=False), "gemini-x") == body
    answer = fake.pretty(fake.whole({"contents": [{"parts": []}]}, "plain"))
    made = dialect.answer(answer, "alias")
    assert made.body == answer.replace(b'"gemini-fake-001"', b'"alias"') and made.model == fake.VERSION
    assert made.usage is not None and (made.usage.input, made.usage.output, made.usage.reasoning) == (
        30,
        13,
        5,
    )
    twice = b'{"modelVersion":"m","candidates":[{"x":{"modelVersion":"m"}}]}'
    assert msgspec.json.decode(dialect.answer(twice, "alias").body) == {
        "modelVersion": "alias",
        "candidates": [{"x": {"modelVersion": "m"}}],
    }


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"model": "models/alias", "content": {}}, {"model": "models/gemini-x", "content": {}}),
        (
            {"requests": [{"model": "models/alias", "content": {}}, {"content": {}}]},
            {
                "requests": [
                    {"model": "models/gemini-x", "content": {}},
                    {"content": {}, "model": "models/gemini-x"},
                ]
            },
        ),
        (
            {"generateContentRequest": {"model": "models/alias", "contents": []}},
            {"generateContentRequest": {"model": "models/gemini-x", "contents": []}},
        ),
        ({"requests": ["model"], "x": {"model": 1}}, {"requests": ["model"], "x": {"model": 1}}),
    ],
)
def test_names_of_the_model_inside_a_body_follow_it(body: Any, expected: Any) -> None:
    envelope = Envelope(msgspec.json.encode(body), model="alias", stream=False)
    assert msgspec.json.decode(GeminiDialect().request(envelope, "gemini-x")) == expected


@given(st.sampled_from(REQUESTS), st.sampled_from(["plain", "blocked", "safety", "malformed"]), CUTS)
def test_streams_pass_through(request: Any, name: str, cuts: list[int]) -> None:
    events = fake.events(request, name)
    relay = GeminiRelay("alias")
    out = streamed(relay, b"".join(fake.sse(event) for event in events), cuts)
    found = [msgspec.json.decode(payload(event)) for event in EventBuffer().feed(out)]
    assert found == [event | {"modelVersion": "alias"} for event in events]
    assert relay.complete and relay.model == fake.VERSION
    built = types.GenerateContentResponse.model_validate(msgspec.json.decode(relay.output()))
    assert (built.text or "") == "".join(
        part.get("text", "")
        for event in events
        for part in (event.get("candidates") or [{}])[0].get("content", {}).get("parts", [])
        if not part.get("thought")
    )


@pytest.mark.parametrize(
    ("body", "message", "code"),
    [
        (
            b'{"error":{"code":429,"message":"Slow.","status":"RESOURCE_EXHAUSTED"}}',
            "Slow.",
            "RESOURCE_EXHAUSTED",
        ),
        (b'[{"error":{"code":400,"message":"No.","status":"INVALID_ARGUMENT"}}]', "No.", "INVALID_ARGUMENT"),
        (
            b'{"error":{"message":"Bad key.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}',
            "Bad key.",
            "API_KEY_INVALID",
        ),
        (b"<html>", "The provider answered 500: <html>", ""),
        (b"", "The provider answered 500.", ""),
        (b"[]", "The provider answered 500: []", ""),
    ],
)
def test_errors_are_read(body: bytes, message: str, code: str) -> None:
    fault = read_fault(500, body)
    assert (fault.message, fault.code) == (message, code)
    assert ChatOverGemini().fault(500, body) == GeminiDialect().fault(500, body) == fault


# -- embeddings --------------------------------------------------------------------------------------------


def test_embeddings_over_gemini() -> None:
    body = {"model": "r", "input": ["a", "b"], "dimensions": 2, "task_type": "CLUSTERING", "user": "ada"}
    envelope = Envelope(msgspec.json.encode(body))
    one = {"taskType": "CLUSTERING", "outputDimensionality": 2}
    assert msgspec.json.decode(EmbeddingsOverGemini().request(envelope, "emb")) == {
        "requests": [
            {"model": "models/emb", "content": {"parts": [{"text": text}]}, **one} for text in ("a", "b")
        ]
    }
    assert msgspec.json.decode(EmbeddingsOverVertex().request(envelope, "emb")) == {
        "instances": [
            {"content": "a", "task_type": "CLUSTERING"},
            {"content": "b", "task_type": "CLUSTERING"},
        ],
        "parameters": {"outputDimensionality": 2},
    }
    with pytest.raises(Invalid, match="token numbers"):
        EmbeddingsOverGemini().request(Envelope(b'{"model":"r","input":[[1,2]]}'), "emb")
    with pytest.raises(Upstream, match="no embeddings"):
        EmbeddingsOverGemini().answer(b'{"embedding":{}}', "r")
