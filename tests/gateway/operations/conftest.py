"""A gateway in front of one provider of every kind, each under a route of its own."""

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from google import genai

from penstock.core.home import Home
from penstock.gateway import service
from tests.conftest import owner_of
from tests.fakes import anthropic as fake_anthropic
from tests.fakes import bedrock as fake_bedrock
from tests.fakes import cohere as fake_cohere
from tests.fakes import gemini as fake_gemini
from tests.fakes import openai as fake_openai
from tests.fakes import vertex as fake_vertex
from tests.gateway.conftest import Running, routes_for

EMBEDDERS = ["embed-floats", "embed-base64", "embed-shuffled", "embed-sized"]


@pytest.fixture
def upstreams() -> Iterator[dict[str, Any]]:
    """The providers, by the names of their routes."""
    with (
        fake_openai.MockUpstream() as oa,
        fake_anthropic.AnthropicUpstream() as an,
        fake_gemini.GeminiUpstream() as ge,
        fake_cohere.CohereUpstream() as co,
        fake_bedrock.BedrockUpstream() as br,
        fake_vertex.VertexUpstream() as vx,
    ):
        yield {"oa": oa, "an": an, "ge": ge, "co": co, "br": br, "vx": vx}


@pytest.fixture
def gateway(sqlite_home: Home, upstreams: dict[str, Any]) -> Iterator[Running]:
    """Routes named as the providers; `groq` is OpenAI's API without completions, `vc` Claude on Vertex AI."""
    openai_url = {"base_url": upstreams["oa"].base_url, "api_key": fake_openai.KEY}
    aws = {"region": fake_bedrock.REGION, "access_key_id": fake_bedrock.ACCESS_KEY}
    google = {"project": fake_vertex.PROJECT, "location": fake_vertex.LOCATION}
    bedrock = {"kind": "bedrock", "base_url": upstreams["br"].url, "api_key": fake_bedrock.SECRET_KEY}
    vertex = {"kind": "vertex", "base_url": upstreams["vx"].url, "api_key": "ya29.token"}
    providers: dict[str, Any] = {
        "oa": {"kind": "openai", **openai_url, "options": {"moderations": True}},
        "plain": {"kind": "openai", **openai_url},
        "groq": {"kind": "groq", **openai_url},
        "an": {"kind": "anthropic", "base_url": upstreams["an"].url, "api_key": fake_anthropic.KEY},
        "ge": {"kind": "gemini", "base_url": upstreams["ge"].url, "api_key": fake_gemini.KEY},
        "co": {"kind": "cohere", "base_url": upstreams["co"].url, "api_key": fake_cohere.KEY},
        "br": {**bedrock, "options": aws},
        "bc": {**bedrock, "options": aws | {"count_tokens": True}},
        "vx": {**vertex, "options": google},
        "vc": {**vertex, "options": google | {"publisher": "anthropic"}},
    }
    models = {"ge": "plain", "vx": "plain", "an": "claude-fake", "vc": "claude-fake"}
    routes: dict[str, Any] = {}
    for name in providers:
        routes[name] = routes_for(name, "", [models.get(name, "gpt-fake")])[models.get(name, "gpt-fake")]
    routes["br-embed"] = routes_for("br", "", ["cohere.embed-v4:0"])["cohere.embed-v4:0"]
    routes["omni-moderation-latest"] = routes["oa"]
    routes |= routes_for("oa", "", EMBEDDERS)
    actor = owner_of(sqlite_home)
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


@pytest.fixture
def messages(gateway: Running) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=gateway.url, api_key=gateway.key, max_retries=0) as made:
        yield made


@pytest.fixture
def google(gateway: Running) -> Iterator[genai.Client]:
    made = genai.Client(api_key=gateway.key, http_options={"base_url": gateway.url})
    yield made
    made.close()
