"""OpenAI's older completions, with the unmodified client, at providers of every kind."""

from typing import Any

import openai
import pytest

from tests.fakes import anthropic as fake_anthropic
from tests.gateway.conftest import Running

OVER_CHAT = ["groq", "an", "ge", "co", "br", "vx", "vc"]


def test_whole_and_streamed_at_every_kind(gateway: Running, chat: openai.OpenAI) -> None:
    for model in OVER_CHAT:
        answer = chat.completions.create(
            model=model, prompt="Once upon", max_tokens=20, temperature=0.5, stop=["END"]
        )
        assert answer.object == "text_completion" and answer.model == model and answer.id.startswith("cmpl-")
        text = answer.choices[0].text
        assert text and answer.choices[0].finish_reason == "stop" and answer.choices[0].logprobs is None
        assert answer.usage is not None and answer.usage.total_tokens > 0
        with_usage = {"include_usage": True}
        chunks = list(
            chat.completions.create(model=model, prompt=["Once upon"], stream=True, stream_options=with_usage)
        )
        assert {chunk.object for chunk in chunks} == {"text_completion"}
        assert "".join(chunk.choices[0].text for chunk in chunks[:-1]) == text
        assert chunks[-2].choices[0].finish_reason == "stop"
        assert chunks[-1].choices == [] and chunks[-1].usage == answer.usage
        plain = list(chat.completions.create(model=model, prompt="Once upon", stream=True))
        assert all(chunk.choices and chunk.usage is None for chunk in plain)
    span = gateway.recorder.last(3 * len(OVER_CHAT))
    assert span.output_tokens and "".join(fake_anthropic.TEXTS).encode() in span.output


def test_what_is_sent(chat: openai.OpenAI, upstreams: dict[str, Any]) -> None:
    chat.completions.create(
        model="groq", prompt="Hi", n=1, seed=7, presence_penalty=0.5, stop="x", echo=False, suffix=None, best_of=1
    )  # fmt: skip
    sent = upstreams["oa"].requests[-1]
    assert sent.path == "/v1/chat/completions"
    assert sent.json == {
        "model": "gpt-fake",
        "messages": [{"role": "user", "content": "Hi"}],
        "n": 1,
        "seed": 7,
        "presence_penalty": 0.5,
        "stop": "x",
    }
    chat.completions.create(model="an", prompt="Hi", stop="x", max_tokens=9)
    sent = upstreams["an"].requests[-1]
    assert (sent.json["max_tokens"], sent.json["stop_sequences"]) == (9, ["x"])


def test_native(chat: openai.OpenAI, upstreams: dict[str, Any]) -> None:
    answer = chat.completions.create(model="oa", prompt=["a", "b"], echo=True, logprobs=2, suffix="!")
    assert answer.choices[0].text == " a time" and answer.model == "oa"
    sent = upstreams["oa"].requests[-1]
    assert sent.path == "/v1/completions"
    assert sent.json["prompt"] == ["a", "b"] and sent.json["echo"] is True and sent.json["suffix"] == "!"
    chunks = list(chat.completions.create(model="oa", prompt="a", stream=True))
    assert [chunk.choices[0].text for chunk in chunks] == [" a time"]


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1, 2]]}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"suffix": "!"}, "suffix"),
        ({"echo": True}, "echo"),
        ({"best_of": 2}, "best_of"),
        ({"logprobs": 0}, "logprobs"),
        ({"n": 2}, "n"),
        ({"made_up": 1}, "made_up"),
    ],
)
def test_refused(chat: openai.OpenAI, upstreams: dict[str, Any], given: dict[str, Any], param: str) -> None:
    body = {"prompt": "Hi"} | given
    with pytest.raises(openai.BadRequestError) as caught:
        chat.completions.create(model="an", prompt=body.pop("prompt"), extra_body=body)
    assert caught.value.param == param and not upstreams["an"].requests


def test_errors(chat: openai.OpenAI, gateway: Running) -> None:
    with pytest.raises(openai.NotFoundError, match="'nope' does not exist"):
        chat.completions.create(model="nope", prompt="a")
    with pytest.raises(openai.BadRequestError, match="needs the field prompt"):
        chat.post("/completions", cast_to=object, body={"model": "an"})
    gateway.configure(
        {}, {"late": {"targets": [{"provider": "an", "model": "error-in-stream"}], "retries": 0}}
    )
    with pytest.raises(openai.APIError, match="Overloaded"):
        list(chat.completions.create(model="late", prompt="a", stream=True))
