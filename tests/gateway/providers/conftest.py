"""A gateway in front of the fakes of every family that this folder tests."""

from collections.abc import Iterator

import anthropic
import openai
import pytest

from penstock.core.home import Home
from penstock.gateway import service
from tests.conftest import owner_of
from tests.fakes import azure as fake_azure
from tests.fakes import bedrock as fake_bedrock
from tests.fakes import cohere as fake_cohere
from tests.fakes import compatible as fake_compatible
from tests.gateway.conftest import Running, routes_for

CLAUDE = "eu.anthropic.claude-fake-v1:0"
BEDROCK_MODELS = {
    "plain": CLAUDE,
    "arn": "arn:aws:bedrock:eu-west-3:123456789012:application-inference-profile/abc",
    "titan": "amazon.titan-embed-text-v2:0",
    "embed": "cohere.embed-v4:0",
    **{
        each: f"x.{each}"
        for each in ("thinks", "limited", "invalid", "breaks", "late", "corrupt", "bytewise")
    },
}
COHERE_MODELS = ["command", "limited", "invalid", "breaks", "ends", "timeout", "bytewise", "embed"]
PRESETS = ["mistral", "groq", "cerebras", "deepseek", "openrouter", "vllm"]


@pytest.fixture(scope="module")
def bedrock_upstream() -> Iterator[fake_bedrock.BedrockUpstream]:
    with fake_bedrock.BedrockUpstream() as server:
        yield server


@pytest.fixture(scope="module")
def cohere_upstream() -> Iterator[fake_cohere.CohereUpstream]:
    with fake_cohere.CohereUpstream() as server:
        yield server


@pytest.fixture(scope="module")
def azure_upstream() -> Iterator[fake_azure.AzureUpstream]:
    with fake_azure.AzureUpstream() as server:
        yield server


@pytest.fixture(scope="module")
def compatible_upstream() -> Iterator[fake_compatible.CompatibleUpstream]:
    with fake_compatible.CompatibleUpstream() as server:
        yield server


@pytest.fixture
def gateway(
    sqlite_home: Home,
    bedrock_upstream: fake_bedrock.BedrockUpstream,
    cohere_upstream: fake_cohere.CohereUpstream,
    azure_upstream: fake_azure.AzureUpstream,
    compatible_upstream: fake_compatible.CompatibleUpstream,
) -> Iterator[Running]:
    """A gateway with routes `br-…`, `co-…`, `az-…` and one for each preset."""
    actor = owner_of(sqlite_home)
    signed = {"region": fake_bedrock.REGION, "access_key_id": fake_bedrock.ACCESS_KEY}
    region = {"region": fake_bedrock.REGION}
    old = {"api_version": fake_azure.VERSION}
    providers = {
        "br": {"kind": "bedrock", "api_key": fake_bedrock.SECRET_KEY, "options": signed},
        "br-session": {
            "kind": "bedrock", "api_key": fake_bedrock.SECRET_KEY,
            "options": signed | {"session_token": fake_bedrock.TOKEN},
        },
        "br-bearer": {"kind": "bedrock", "api_key": fake_bedrock.BEARER, "options": region},
        "br-wrong": {"kind": "bedrock", "api_key": "wrong", "options": signed},
        "br-none": {"kind": "bedrock", "options": region},
    }  # fmt: skip
    for each in providers.values():
        each["base_url"] = bedrock_upstream.url
    providers |= {
        "co": {"kind": "cohere", "base_url": cohere_upstream.url, "api_key": fake_cohere.KEY},
        "az": {"kind": "azure", "base_url": azure_upstream.url, "api_key": fake_azure.KEY},
        "az-old": {"kind": "azure", "base_url": azure_upstream.url, "api_key": fake_azure.KEY, "options": old},
        "az-entra": {
            "kind": "azure", "base_url": f"{azure_upstream.url}/openai/v1/", "api_key": fake_azure.ENTRA,
            "options": {"entra": True, "api_version": "preview"},
        },
    }  # fmt: skip
    providers |= {each: {"kind": each, "base_url": f"{compatible_upstream.url}/v1"} for each in PRESETS}
    routes = routes_for("co", "co-", COHERE_MODELS)
    for name, model in BEDROCK_MODELS.items():
        routes |= {f"br-{name}": routes_for("br", "", [model])[model]}
    for provider in ("br-session", "br-bearer", "br-wrong", "br-none"):
        routes[provider] = routes_for(provider, "", [CLAUDE])[CLAUDE]
    for provider in ("az", "az-old", "az-entra"):
        routes |= routes_for(provider, f"{provider}-", ["my deployment", "filtered"])
    for preset in PRESETS:
        routes |= routes_for(preset, "", [preset])
    routes = {name.replace(" ", "_"): route for name, route in routes.items()}
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
