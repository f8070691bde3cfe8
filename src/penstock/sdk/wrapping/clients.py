"""`penstock.wrap`: which library a client belongs to, and which provider it talks to."""

from typing import Any, TypeVar

from penstock.sdk.errors import ConfigError
from penstock.sdk.quiet import fault
from penstock.sdk.wrapping import anthropic, google, openai, stainless
from penstock.sdk.wrapping.calls import Server
from penstock.sdk.wrapping.reading import get

C = TypeVar("C")

PROVIDERS = {
    "api.openai.com": "openai",
    "openai.azure.com": "azure.ai.openai",
    "api.anthropic.com": "anthropic",
    "api.groq.com": "groq",
    "api.deepseek.com": "deepseek",
    "api.mistral.ai": "mistral_ai",
    "api.x.ai": "x_ai",
    "api.perplexity.ai": "perplexity",
    "openrouter.ai": "openrouter",
    "api.together.xyz": "together_ai",
    "api.fireworks.ai": "fireworks_ai",
    "api.cohere.com": "cohere",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "amazonaws.com": "aws.bedrock",
}
"""End of the host's name → provider, as the GenAI conventions call it."""


def wrap(client: C) -> C:
    """Record every model call of `client` as a span with messages, tokens, tools and times, and return the client.

    Takes clients of `openai` (also asynchronous, Azure's, and of compatible providers), `anthropic` and `google-genai`:
    chat, responses, messages, generate_content, embeddings, streams, tools and parsed answers. What the client does and
    returns stays the same. A client that points at the Penstock gateway is not billed twice: the gateway's own span
    becomes the child of this one, which counts nothing. Wrapping a client again changes nothing.

    Raises ConfigError for an object that is no such client, and nothing later.
    """
    family = _family(client)
    if family is None:
        raise ConfigError(
            f"{type(client).__module__}.{type(client).__name__} is no client that penstock.wrap knows. "
            "It takes those of openai, anthropic and google-genai; for other libraries see penstock.instrument."
        )
    if not hasattr(client, stainless.MARK):
        _wrap(client, family)
    return client


def _wrap(client: Any, family: str) -> None:
    try:
        if family == "google":
            google.wrap(client, _google_server(client))
            return
        server = Server(str(client.base_url), "")
        server.provider = _provider(server.host) or (
            "azure.ai.openai" if "Azure" in type(client).__name__ else family
        )
        endpoints = openai.ENDPOINTS if family == "openai" else anthropic.ENDPOINTS
        stainless.wrap(client, server, endpoints, wrap)
    except Exception as error:  # noqa: BLE001 - a client of another version works on, unrecorded
        fault("wrap", error)


def _family(client: Any) -> str | None:
    """Return the library by the classes' modules, or by shape for classes of the program's own."""
    roots = {cls.__module__.partition(".")[0] for cls in type(client).__mro__}
    if hasattr(client, "post") and hasattr(client, "base_url"):
        for root, family in (("openai", "openai"), ("anthropic", "anthropic")):
            if root in roots:
                return family
        return "openai" if hasattr(client, "chat") else "anthropic" if hasattr(client, "messages") else None
    return "google" if hasattr(get(client, "models"), "generate_content") else None


def _google_server(client: Any) -> Server:
    inner = get(client, "_api_client")
    vertex = bool(get(client, "vertexai") or get(inner, "vertexai"))
    url = get(inner, "_http_options", "base_url") or "https://generativelanguage.googleapis.com"
    return Server(str(url), "gcp.vertex_ai" if vertex else "gcp.gemini")


def _provider(host: str) -> str:
    return next((name for end, name in PROVIDERS.items() if host == end or host.endswith(f".{end}")), "")
