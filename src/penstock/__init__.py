"""Penstock: self-hosted LLMOps, from data to a better model.

The names here are the Python SDK (`penstock.sdk`), each imported on first use: `import penstock` itself costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from penstock.version import __version__

if TYPE_CHECKING:
    from penstock.sdk.chains import Step, chain
    from penstock.sdk.client import Client
    from penstock.sdk.context import ThreadPoolExecutor, extract, inject, with_context
    from penstock.sdk.errors import (
        ApiError,
        ConfigError,
        ConnectionFailed,
        NotFound,
        RateLimited,
        RenderError,
        SdkError,
    )
    from penstock.sdk.give import give_feedback
    from penstock.sdk.instrument import instrument
    from penstock.sdk.prompts import Prompt, get_prompt
    from penstock.sdk.runtime import configure, dropped, flush
    from penstock.sdk.spans import Span, current_span
    from penstock.sdk.tracing import span, trace
    from penstock.sdk.wrapping.clients import wrap

_HOMES = {
    "ApiError": "errors",
    "Client": "client",
    "ConfigError": "errors",
    "ConnectionFailed": "errors",
    "NotFound": "errors",
    "Prompt": "prompts",
    "RateLimited": "errors",
    "RenderError": "errors",
    "SdkError": "errors",
    "Span": "spans",
    "Step": "chains",
    "ThreadPoolExecutor": "context",
    "chain": "chains",
    "configure": "runtime",
    "current_span": "spans",
    "dropped": "runtime",
    "extract": "context",
    "flush": "runtime",
    "get_prompt": "prompts",
    "give_feedback": "give",
    "inject": "context",
    "instrument": "instrument",
    "span": "tracing",
    "trace": "tracing",
    "with_context": "context",
    "wrap": "wrapping.clients",
}

__all__ = [
    "ApiError",
    "Client",
    "ConfigError",
    "ConnectionFailed",
    "NotFound",
    "Prompt",
    "RateLimited",
    "RenderError",
    "SdkError",
    "Span",
    "Step",
    "ThreadPoolExecutor",
    "__version__",
    "chain",
    "configure",
    "current_span",
    "dropped",
    "extract",
    "flush",
    "get_prompt",
    "give_feedback",
    "inject",
    "instrument",
    "span",
    "trace",
    "with_context",
    "wrap",
]


def __getattr__(name: str) -> Any:
    """Import the SDK's `name` on first use (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'penstock' has no attribute {name!r}")
    value = getattr(import_module(f"penstock.sdk.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
