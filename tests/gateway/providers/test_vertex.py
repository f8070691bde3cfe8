"""The openai and anthropic clients through the gateway to Vertex AI, with every kind of key."""

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.gateway import service
from penstock.gateway.model import Operation
from penstock.gateway.ports import ProviderConfig
from penstock.gateway.providers.vertex import VertexProvider
from tests.conftest import owner_of
from tests.fakes import anthropic as fake_anthropic
from tests.fakes import gemini as fake_gemini
from tests.fakes import vertex as fake
from tests.gateway.conftest import Running, routes_for

HELLO: Any = [{"role": "user", "content": "Hello"}]
GEMINI_TEXT = "".join(fake_gemini.TEXTS)
CLAUDE_TEXT = "".join(fake_anthropic.TEXTS)
PLACE = f"/v1/projects/{fake.PROJECT}/locations/{fake.LOCATION}/publishers"


@pytest.fixture
def upstream() -> Iterator[fake.VertexUpstream]:
    with fake.VertexUpstream() as server:
        yield server


@pytest.fixture
def gateway(sqlite_home: Home, upstream: fake.VertexUpstream) -> Iterator[Running]:
    """Routes named as their providers, one for each kind of key; `claude` is Anthropic's model."""
    actor = owner_of(sqlite_home)
    place = {"location": fake.LOCATION}
    here = {"kind": "vertex", "base_url": upstream.url}
    providers: dict[str, Any] = {
        "account": {**here, "api_key": upstream.key_file(), "options": place},
        "token": {**here, "api_key": "ya29.x", "options": place | {"project": fake.PROJECT}},
        "express": {**here, "api_key": fake.EXPRESS_KEY},
        "claude": {**here, "api_key": upstream.key_file(), "options": place | {"publisher": "anthropic"}},
        "wrong": {**here, "api_key": "wrong", "options": place | {"project": fake.PROJECT, "auth": "token"}},
    }
    routes: dict[str, Any] = {}
    for name in providers:
        model = "claude-fake" if name == "claude" else "plain"
        routes[name] = routes_for(name, "", [model])[model]
    with sqlite_home.begin() as uow:
        service.apply(uow, actor, {"providers": providers, "routes": routes})
    running = Running(sqlite_home, actor)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def chat(gateway: Running) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=gateway.key, max_retries=0) as made:
        yield made


@pytest.mark.parametrize("route", ["account", "token", "express", "claude"])
def test_chat(gateway: Running, chat: openai.OpenAI, route: str) -> None:
    text = CLAUDE_TEXT if route == "claude" else GEMINI_TEXT
    answer = chat.chat.completions.create(model=route, messages=HELLO)
    assert answer.choices[0].message.content == text and answer.model == route
    chunks = list(chat.chat.completions.create(model=route, messages=HELLO, stream=True))
    assert "".join(each.choices[0].delta.content or "" for each in chunks if each.choices) == text
    span = gateway.recorder.last(2)
    assert span.provider == route and span.input_tokens and span.output_tokens


def test_messages(gateway: Running, upstream: fake.VertexUpstream) -> None:
    with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as client:
        answer = client.messages.create(model="claude", max_tokens=5, messages=HELLO)
        assert answer.content[0].text == CLAUDE_TEXT  # type: ignore[union-attr]
        with client.messages.stream(model="claude", max_tokens=5, messages=HELLO) as opened:
            assert opened.get_final_text() == CLAUDE_TEXT
    paths = [each.path for each in upstream.requests if each.path != "/token"]
    assert paths == [
        f"{PLACE}/anthropic/models/claude-fake:rawPredict",
        f"{PLACE}/anthropic/models/claude-fake:streamRawPredict",
    ]


def test_a_token_is_asked_for_once_and_in_time(chat: openai.OpenAI, upstream: fake.VertexUpstream) -> None:
    for _ in range(3):
        chat.chat.completions.create(model="account", messages=HELLO)
    assert upstream.issued == 1
    used = {each.headers["authorization"] for each in upstream.requests if each.path != "/token"}
    assert used == {"Bearer ya29.token-1"}


def test_a_token_that_ends_is_replaced(chat: openai.OpenAI, upstream: fake.VertexUpstream) -> None:
    upstream.lifetime = 0.0
    with pytest.raises(openai.APIStatusError, match="no access token yet"):
        chat.chat.completions.create(model="account", messages=HELLO)
    upstream.lifetime = 3600.0
    chat.chat.completions.create(model="account", messages=HELLO)
    assert upstream.requests[-1].headers["authorization"] == f"Bearer ya29.token-{upstream.issued}"


def test_refused_keys_are_ours_and_stay_here(
    gateway: Running, chat: openai.OpenAI, upstream: fake.VertexUpstream
) -> None:
    upstream.refuse_tokens = True
    for route, text in (("account", "Invalid JWT Signature"), ("wrong", "refused Penstock's credentials")):
        with pytest.raises(openai.APIStatusError, match=text) as caught:
            chat.chat.completions.create(model=route, messages=HELLO)
        assert caught.value.status_code == 502
        assert "PRIVATE" not in str(caught.value) and fake.EMAIL not in str(caught.value)
    assert upstream.issued == 0


def config(key: str = "", **options: Any) -> ProviderConfig:
    return ProviderConfig(name="vx", api_key=key, options=options)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (config("ya29.x"), "needs the option project"),
        (config("ya29.x", project="a/b"), "not a name of Google's"),
        (config("ya29.x", project="p", location="EU west"), "not a name of Google's"),
        (config("ya29.x", project="p", publisher="openai"), "none of google, anthropic"),
        (config("ya29.x", project="p", auth="magic"), "none of service_account, token, api_key"),
        (config("{"), "not the JSON key file"),
        (config('{"client_email": "a", "private_key": "secret", "type": "user"}'), "of the type 'user'"),
        (config('{"client_email": "a", "private_key": "secret"}'), "not a key in PEM"),
    ],
)
def test_configurations_that_are_refused(made: ProviderConfig, text: str) -> None:
    with pytest.raises(Invalid, match=text) as caught:
        VertexProvider(made)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("made", "host", "target"),
    [
        (
            config("ya29.x", project="p", location="europe-west1"),
            "europe-west1-aiplatform.googleapis.com",
            b"/v1/projects/p/locations/europe-west1/publishers/google/models/m:generateContent",
        ),
        (
            config("ya29.x", project="p", location="global"),
            "aiplatform.googleapis.com",
            b"/v1/projects/p/locations/global/publishers/google/models/m:generateContent",
        ),
        (config("AQ.k"), "aiplatform.googleapis.com", b"/v1/publishers/google/models/m:generateContent"),
    ],
)
def test_addresses(made: ProviderConfig, host: str, target: bytes) -> None:
    request = VertexProvider(made).request(Operation.CHAT, "m", b"{}")
    assert (request.origin.host, request.target) == (host, target)
