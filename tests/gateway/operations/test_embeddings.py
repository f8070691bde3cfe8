"""Embeddings, with the unmodified clients of OpenAI and Google, at providers of every kind."""

import base64
import struct
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from google.genai import errors

WITH = ["oa", "embed-floats", "embed-base64", "ge", "vx", "co", "br-embed"]


def unpacked(text: Any) -> list[float]:
    data = base64.b64decode(text, validate=True)
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def test_both_forms_at_every_kind(chat: openai.OpenAI) -> None:
    for model in WITH:
        given: Any = ["ab", "c"]
        plain = chat.embeddings.create(model=model, input=given, encoding_format="float")
        assert [row.index for row in plain.data] == [0, 1] and plain.model == model
        assert all(isinstance(row.embedding[0], float) for row in plain.data)
        packed = chat.embeddings.create(model=model, input=given, encoding_format="base64")
        assert [unpacked(row.embedding) for row in packed.data] == [row.embedding for row in plain.data]
        # The client asks for base64 and unpacks it when it is told nothing.
        assert chat.embeddings.create(model=model, input=given).data[1].embedding == plain.data[1].embedding
        untold: Any = chat.post("/embeddings", cast_to=object, body={"model": model, "input": "ab"})
        assert untold["data"][0]["embedding"] == plain.data[0].embedding
        assert plain.usage.prompt_tokens == plain.usage.total_tokens


def test_order(chat: openai.OpenAI) -> None:
    answer = chat.embeddings.create(model="embed-shuffled", input=["a", "b", "c"])
    assert [(row.index, row.embedding[0]) for row in answer.data] == [(0, 0.25), (1, 0.5), (2, 0.75)]


def test_token_numbers(chat: openai.OpenAI, upstreams: dict[str, Any]) -> None:
    for tokens in ([1, 2, 3], [[1, 2], [3]]):
        assert chat.embeddings.create(model="oa", input=tokens).data
        assert upstreams["oa"].requests[-1].json["input"] == tokens
        for model in ("ge", "vx", "co", "br-embed"):
            with pytest.raises(openai.BadRequestError, match="does not take token numbers") as caught:
                chat.embeddings.create(model=model, input=tokens)
            assert caught.value.param == "input"
    assert not upstreams["ge"].requests and not upstreams["co"].requests


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": None}, "input"),
        ({}, "input"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format"),
        ({"input": "a", "encoding_format": 5}, "encoding_format"),
        ({"input": "a", "dimensions": 0}, "dimensions"),
        ({"input": "a", "dimensions": "x"}, "dimensions"),
        ({"input": "a", "stream": True}, "stream"),
    ],
)
def test_refused(chat: openai.OpenAI, upstreams: dict[str, Any], body: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        chat.post("/embeddings", cast_to=object, body={"model": "oa"} | body)
    assert caught.value.param == param and not upstreams["oa"].requests


def test_an_empty_text_among_others(chat: openai.OpenAI) -> None:
    for model in ("ge", "vx", "co", "br-embed"):
        with pytest.raises(openai.BadRequestError, match="empty text"):
            chat.embeddings.create(model=model, input=["a", ""])


def test_dimensions(chat: openai.OpenAI, upstreams: dict[str, Any]) -> None:
    for model in ("embed-sized", "ge", "vx"):
        assert len(chat.embeddings.create(model=model, input="a", dimensions=2).data[0].embedding) == 2
    chat.embeddings.create(model="co", input="a", dimensions=2)
    assert upstreams["co"].requests[-1].json["output_dimension"] == 2
    with pytest.raises(openai.BadRequestError, match="does not make vectors of 2 numbers") as caught:
        chat.embeddings.create(model="oa", input="a", dimensions=2)
    assert caught.value.param == "dimensions"


def test_none_at_anthropic(chat: openai.OpenAI, google: genai.Client, messages: anthropic.Anthropic) -> None:
    with pytest.raises(openai.NotFoundError, match=r"has no embeddings.*Route this model") as caught:
        chat.embeddings.create(model="an", input="a")
    assert caught.value.code == "unsupported_operation"
    with pytest.raises(errors.ClientError, match="Route this model") as refused:
        google.models.embed_content(model="an", contents="a")
    assert refused.value.code == 404 and messages.api_key


def test_gemini_callers(google: genai.Client, upstreams: dict[str, Any]) -> None:
    for model in ("oa", "embed-floats", "embed-base64", "embed-shuffled", "ge", "vx", "co", "br-embed"):
        found = google.models.embed_content(model=model, contents=["ab", "c"])
        assert found.embeddings is not None and len(found.embeddings) == 2
        assert all(isinstance(each.values[0], float) for each in found.embeddings)
    assert upstreams["co"].requests[-1].json["texts"] == ["ab", "c"]
    config = genai.types.EmbedContentConfig(output_dimensionality=2, task_type="RETRIEVAL_QUERY")
    for model in ("embed-sized", "ge"):
        found = google.models.embed_content(model=model, contents="ab", config=config)
        assert len(found.embeddings[0].values) == 2
    one: Any = {"content": {"parts": [{"text": "ab"}]}}
    for model in ("oa", "co", "ge"):
        answer = google._api_client.request("post", f"models/{model}:embedContent", one)
        assert '"embedding"' in answer.body.replace(" ", "")
