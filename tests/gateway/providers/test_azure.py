"""The openai client through the gateway to Azure OpenAI."""

from typing import Any

import openai
import pytest

from penstock.core.errors import Invalid
from penstock.gateway.model import Operation
from penstock.gateway.ports import ProviderConfig
from penstock.gateway.providers.azure import AzureProvider
from tests.fakes import azure as fake
from tests.fakes import openai as fake_openai
from tests.gateway.conftest import Running

HELLO: Any = [{"role": "user", "content": "Hello"}]
TEXT = "".join(fake_openai.WORDS)
PATHS = {
    "az": "/openai/v1/chat/completions",
    "az-old": "/openai/deployments/my%20deployment/chat/completions?api-version=2024-10-21",
    "az-entra": "/openai/v1/chat/completions?api-version=preview",
}


@pytest.mark.parametrize("provider", PATHS)
def test_chat(
    gateway: Running, chat: openai.OpenAI, azure_upstream: fake.AzureUpstream, provider: str
) -> None:
    route = f"{provider}-my_deployment"
    answer = chat.chat.completions.create(model=route, messages=HELLO)
    assert answer.choices[0].message.content == TEXT and answer.model == route
    sent = azure_upstream.requests[-1]
    assert sent.path == PATHS[provider] and sent.json["model"] == "my deployment"
    assert ("api-key" in sent.headers) is (provider != "az-entra")
    assert gateway.recorder.last().model == "gpt-4o-2024-11-20"


@pytest.mark.parametrize("provider", PATHS)
def test_chat_stream(gateway: Running, chat: openai.OpenAI, provider: str) -> None:
    route = f"{provider}-my_deployment"
    chunks: list[Any] = list(chat.chat.completions.create(model=route, messages=HELLO, stream=True))
    assert chunks[0].choices == [] and chunks[0].prompt_filter_results[0]["prompt_index"] == 0
    assert {each.model for each in chunks} == {route}
    assert "".join(each.choices[0].delta.content or "" for each in chunks[1:]) == TEXT
    span = gateway.recorder.last()
    assert (span.input_tokens, span.output_tokens, span.model) == (42, 7, "gpt-4o-2026")


@pytest.mark.parametrize("stream", [False, True])
def test_messages(messages: Any, stream: bool) -> None:
    if stream:
        with messages.messages.stream(model="az-my_deployment", max_tokens=5, messages=HELLO) as opened:
            answer = opened.get_final_message()
    else:
        answer = messages.messages.create(model="az-my_deployment", max_tokens=5, messages=HELLO)
    assert answer.content[0].text == TEXT and answer.usage.output_tokens == 7


@pytest.mark.parametrize("provider", PATHS)
def test_a_filtered_prompt(chat: openai.OpenAI, provider: str) -> None:
    with pytest.raises(openai.BadRequestError, match="content management policy") as caught:
        chat.chat.completions.create(model=f"{provider}-filtered", messages=HELLO)
    assert (caught.value.code, caught.value.param) == ("content_filter", "prompt")


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({}, "needs a base_url"),
        ({"base_url": "https://x.openai.azure.com", "options": {"api_version": "soon"}}, "neither a date"),
        ({"base_url": "https://x.openai.azure.com", "api_key": "a\nb"}, "cannot be sent"),
    ],
)
def test_configurations_that_are_refused(config: Any, text: str) -> None:
    with pytest.raises(Invalid, match=text):
        AzureProvider(ProviderConfig(name="az", **config))


@pytest.mark.parametrize("url", ["https://x.openai.azure.com", "https://x.openai.azure.com/openai/v1/"])
def test_addresses(url: str) -> None:
    new = AzureProvider(ProviderConfig(name="az", base_url=url, api_key="k"))
    assert new.request(Operation.EMBEDDINGS, "d", b"{}").target == b"/openai/v1/embeddings"
    assert new.probe().target == b"/openai/v1/models"
    old = AzureProvider(ProviderConfig(name="az", base_url=url, options={"api_version": "2024-10-21"}))
    expected = b"/openai/deployments/a%2Fb/embeddings?api-version=2024-10-21"
    assert old.request(Operation.EMBEDDINGS, "a/b", b"{}").target == expected
    assert old.probe().target == b"/openai/models?api-version=2024-10-21"
