"""`penstock.instrument`: frameworks traced by their OpenInference or OpenTelemetry instrumentors, in one call."""

import importlib
import os
from typing import Any

from penstock.sdk import otel, runtime
from penstock.sdk.errors import ConfigError
from penstock.sdk.quiet import warn_once

_OPENINFERENCE = "openinference.instrumentation"
_OPENTELEMETRY = "opentelemetry.instrumentation"

INSTRUMENTORS: dict[str, tuple[tuple[str, str], ...]] = {
    "agno": ((f"{_OPENINFERENCE}.agno", "AgnoInstrumentor"),),
    "anthropic": (
        (f"{_OPENINFERENCE}.anthropic", "AnthropicInstrumentor"),
        (f"{_OPENTELEMETRY}.anthropic", "AnthropicInstrumentor"),
    ),
    "autogen": ((f"{_OPENINFERENCE}.autogen_agentchat", "AutogenAgentChatInstrumentor"),),
    "bedrock": (
        (f"{_OPENINFERENCE}.bedrock", "BedrockInstrumentor"),
        (f"{_OPENTELEMETRY}.bedrock", "BedrockInstrumentor"),
    ),
    "crewai": ((f"{_OPENINFERENCE}.crewai", "CrewAIInstrumentor"),),
    "dspy": ((f"{_OPENINFERENCE}.dspy", "DSPyInstrumentor"),),
    "google-genai": (
        (f"{_OPENINFERENCE}.google_genai", "GoogleGenAIInstrumentor"),
        (f"{_OPENTELEMETRY}.google_genai", "GoogleGenAiSdkInstrumentor"),
    ),
    "groq": ((f"{_OPENINFERENCE}.groq", "GroqInstrumentor"),),
    "haystack": ((f"{_OPENINFERENCE}.haystack", "HaystackInstrumentor"),),
    "instructor": ((f"{_OPENINFERENCE}.instructor", "InstructorInstrumentor"),),
    "langchain": (
        (f"{_OPENINFERENCE}.langchain", "LangChainInstrumentor"),
        (f"{_OPENTELEMETRY}.langchain", "LangchainInstrumentor"),
    ),
    "litellm": ((f"{_OPENINFERENCE}.litellm", "LiteLLMInstrumentor"),),
    "llama-index": (
        (f"{_OPENINFERENCE}.llama_index", "LlamaIndexInstrumentor"),
        (f"{_OPENTELEMETRY}.llamaindex", "LlamaIndexInstrumentor"),
    ),
    "mcp": ((f"{_OPENINFERENCE}.mcp", "MCPInstrumentor"),),
    "mistralai": ((f"{_OPENINFERENCE}.mistralai", "MistralAIInstrumentor"),),
    "openai": (
        (f"{_OPENINFERENCE}.openai", "OpenAIInstrumentor"),
        (f"{_OPENTELEMETRY}.openai_v2", "OpenAIInstrumentor"),
        (f"{_OPENTELEMETRY}.openai", "OpenAIInstrumentor"),
    ),
    "openai-agents": ((f"{_OPENINFERENCE}.openai_agents", "OpenAIAgentsInstrumentor"),),
    "smolagents": ((f"{_OPENINFERENCE}.smolagents", "SmolagentsInstrumentor"),),
    "vertexai": ((f"{_OPENINFERENCE}.vertexai", "VertexAIInstrumentor"),),
}
"""Framework → module and class of the instrumentors that can trace it, best first."""

_ALIASES = {
    "llamaindex": "llama-index",
    "googlegenai": "google-genai",
    "genai": "google-genai",
    "gemini": "google-genai",
    "openaiagents": "openai-agents",
    "langgraph": "langchain",
    "autogenagentchat": "autogen",
}


def instrument(*frameworks: str, provider: Any = None) -> list[str]:
    """Trace `frameworks` (`"langchain"`, `"llamaindex"`, …) through their instrumentors; return which are on.

    Their spans go where `penstock.configure` points, through the same queue, spool and mask as our own; inside a
    `penstock.span` they are its children, and spans of ours inside theirs are theirs. Without names, whatever is
    installed is switched on. `provider` is an OpenTelemetry TracerProvider to use instead of the program's own.

    Raises ConfigError, naming what to install, for a framework whose instrumentor is missing or refuses.
    """
    wanted = [_known(name) for name in frameworks] or list(INSTRUMENTORS)
    found = {name: _find(name) for name in wanted}
    missing = [name for name, kind in found.items() if kind is None]
    if frameworks and missing:
        packages = " ".join(_package(INSTRUMENTORS[name][0][0]) for name in missing)
        raise ConfigError(
            f"Nothing installed can trace {', '.join(missing)}. Install it: {otel.PIP} {packages}"
        )
    chosen = otel.connect(provider)
    if not runtime.settings().capture:
        for name in ("OPENINFERENCE_HIDE_INPUTS", "OPENINFERENCE_HIDE_OUTPUTS"):
            os.environ[name] = "true"
    return [
        name
        for name, kind in found.items()
        if kind is not None and _switch_on(name, kind(), chosen, demanded=bool(frameworks))
    ]


def _known(name: str) -> str:
    plain = name.lower().replace("_", "-")
    plain = _ALIASES.get(plain.replace("-", ""), plain)
    if plain not in INSTRUMENTORS:
        known = ", ".join(sorted(INSTRUMENTORS))
        raise ConfigError(
            f"No instrumentor is known for {name!r}; known are {known}. Any other OpenTelemetry instrumentor works "
            "after penstock.instrument() too: its spans reach Penstock through the same provider."
        )
    return plain


def _find(name: str) -> Any:
    for module, kind in INSTRUMENTORS[name]:
        try:
            return getattr(importlib.import_module(module), kind)
        except (ImportError, AttributeError):
            continue
    return None


def _switch_on(name: str, instrumentor: Any, provider: Any, *, demanded: bool) -> bool:
    if getattr(instrumentor, "is_instrumented_by_opentelemetry", False):
        return True
    reason = "the framework itself is not installed, or in another version than the instrumentor supports"
    try:
        instrumentor.instrument(tracer_provider=provider, skip_dep_check=False)
        if getattr(instrumentor, "is_instrumented_by_opentelemetry", True):
            return True
    except Exception as error:  # noqa: BLE001 - said below, with the framework's name
        reason = f"{type(error).__name__}: {error}"
    if demanded:
        raise ConfigError(f"{type(instrumentor).__module__} could not be switched on for {name}: {reason}.")
    warn_once(f"instrument:{name}", "%s is not traced: %s", name, reason)
    return False


def _package(module: str) -> str:
    return module.replace(".", "-").replace("_", "-")
