"""Kinds for services that speak OpenAI's API: addresses, keys, quirks, and the openai client through the gateway."""

from typing import Any

import openai
import pytest

from penstock.core import plugins
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.gateway import service
from penstock.gateway.model import Operation
from penstock.gateway.ports import ProviderConfig
from penstock.gateway.providers.openai import OpenAIProvider
from tests.conftest import owner_of
from tests.fakes import compatible as fake
from tests.fakes import openai as fake_openai
from tests.gateway.conftest import Running

HELLO: Any = [{"role": "user", "content": "Hello"}]
OWN = ("anthropic", "azure", "bedrock", "cohere", "gemini", "local", "openai", "vertex")
KINDS = [name for name in plugins.names("providers") if name not in OWN]
THOUGHT = "".join(fake.THOUGHTS)


def test_there_are_presets() -> None:
    assert {"ollama", "vllm", "mistral", "groq", "together", "deepseek", "openrouter"} <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_preset_needs_no_address(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin: type[OpenAIProvider] = plugins.load("providers", kind)
    local = not plugin.KEY_ENV
    if not local:
        monkeypatch.setenv(plugin.KEY_ENV, "sk-of-the-environment")
    made = plugin(ProviderConfig(name=kind))
    request = made.request(Operation.CHAT, "m", b"{}")
    assert request.origin.scheme == ("http" if local else "https")
    assert (request.origin.host == "127.0.0.1") is local
    assert request.target.endswith(b"/chat/completions") and made.probe().target.endswith(b"/models")
    assert (b"Bearer sk-of-the-environment" in request.headers) is not local
    given = plugin(ProviderConfig(name=kind, api_key="sk-given")).request(Operation.CHAT, "m", b"{}").headers
    assert b"Bearer sk-given" in given and b"sk-of-the-environment" not in given
    elsewhere = plugin(ProviderConfig(name=kind, base_url="https://elsewhere.example/v1"))
    assert b"authorization" not in elsewhere.request(Operation.CHAT, "m", b"{}").headers


def test_kinds_are_suggested(sqlite_home: Home) -> None:
    owner = owner_of(sqlite_home)
    with sqlite_home.begin() as uow, pytest.raises(Invalid, match="'mistrall'") as caught:
        service.put_provider(uow, owner, "x", "mistrall")
    assert "mistral" in caught.value.hint


ASKED: dict[str, Any] = {
    "mistral": {"max_completion_tokens": 5, "seed": 1, "user": "ada"},
    "groq": {},
    "cerebras": {"messages": [{"role": "developer", "content": "x"}, *HELLO]},
    "deepseek": {"messages": [{"role": "developer", "content": "x"}, *HELLO], "max_completion_tokens": 5},
    "openrouter": {},
    "vllm": {},
}


@pytest.mark.parametrize("kind", ASKED)
def test_chat(chat: openai.OpenAI, compatible_upstream: fake.CompatibleUpstream, kind: str) -> None:
    answer = chat.chat.completions.create(**{"model": kind, "messages": HELLO} | ASKED[kind])
    message: Any = answer.choices[0].message
    assert message.content == "".join(fake_openai.WORDS) and answer.model == kind
    renames = kind not in ("mistral", "deepseek")
    assert getattr(message, "reasoning_content" if renames else "reasoning") == THOUGHT
    sent = compatible_upstream.requests[-1].json
    if kind == "mistral":
        assert (sent["max_tokens"], sent["random_seed"]) == (5, 1)
    if kind in ("cerebras", "deepseek"):
        assert sent["messages"][0] == {"role": "system", "content": "x"}


@pytest.mark.parametrize("kind", ASKED)
def test_chat_stream(gateway: Running, chat: openai.OpenAI, kind: str) -> None:
    asked = {"model": kind, "messages": HELLO, "stream": True} | ASKED[kind]
    chunks: list[Any] = list(chat.chat.completions.create(**asked))
    assert "".join(each.choices[0].delta.content or "" for each in chunks) == "".join(fake_openai.WORDS)
    if kind not in ("mistral", "deepseek"):
        found = [getattr(each.choices[0].delta, "reasoning_content", None) or "" for each in chunks]
        assert "".join(found) == THOUGHT
        assert THOUGHT.encode() in gateway.recorder.last().output
    assert {each.model for each in chunks} == {kind}


def test_what_a_server_refuses_is_said_or_dropped(gateway: Running, chat: openai.OpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match="logit_bias"):
        chat.chat.completions.create(model="groq", messages=HELLO, logit_bias={"1": 1})
    with gateway.home.read() as uow:
        url = service.get_provider(uow, gateway.actor, "groq").base_url
    gateway.configure({"groq": {"kind": "groq", "base_url": url, "options": {"drop_params": True}}}, {})
    assert chat.chat.completions.create(model="groq", messages=HELLO, logit_bias={"1": 1}).choices


@pytest.mark.parametrize("stream", [False, True])
def test_messages(messages: Any, stream: bool) -> None:
    if stream:
        with messages.messages.stream(model="mistral", max_tokens=5, messages=HELLO) as opened:
            answer = opened.get_final_message()
    else:
        answer = messages.messages.create(model="mistral", max_tokens=5, messages=HELLO)
    assert answer.content[-1].text == "".join(fake_openai.WORDS)
