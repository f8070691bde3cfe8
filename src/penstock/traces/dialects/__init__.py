"""How instrumentations name things: tables only, one file per dialect; `mapping` does the work.

A field lists the attribute keys that may hold it, per dialect; the order of `DIALECTS` decides where two of them
speak in one span.
"""

from penstock.traces.dialects.genai import OTEL_GENAI
from penstock.traces.dialects.langfuse import LANGFUSE
from penstock.traces.dialects.langsmith import LANGSMITH
from penstock.traces.dialects.mlflow import MLFLOW
from penstock.traces.dialects.openinference import OPENINFERENCE
from penstock.traces.dialects.terms import Dialect
from penstock.traces.dialects.traceloop import TRACELOOP
from penstock.traces.dialects.vendors import normalised
from penstock.traces.dialects.vercel import VERCEL
from penstock.traces.model import Kind

DIALECTS = (LANGFUSE, LANGSMITH, OTEL_GENAI, OPENINFERENCE, TRACELOOP, VERCEL, MLFLOW)
"""Best first, field by field. The conventions themselves come before what wraps them."""

KIND_ORDER = (
    "openinference.span.kind",
    "langfuse.observation.type",
    "langsmith.span.kind",
    "gen_ai.operation.name",
    "traceloop.span.kind",
    "llm.request.type",
    "ai.operationId",
    "mlflow.spanType",
)
"""Which attribute to believe about the kind of a step, best first."""

KIND_BY_PRESENCE: tuple[tuple[str, Kind], ...] = (
    ("gen_ai.tool.name", "tool"),
    ("tool.name", "tool"),
    ("ai.toolCall.name", "tool"),
    ("gen_ai.usage.input_tokens", "llm"),
    ("gen_ai.request.model", "llm"),
    ("llm.model_name", "llm"),
    ("llm.request.model", "llm"),
    ("gen_ai.retrieval.documents", "retriever"),
    ("retrieval.documents.0.document.content", "retriever"),
    ("reranker.query", "retriever"),
    ("embedding.model_name", "embedding"),
    ("gen_ai.agent.name", "agent"),
    ("http.request.method", "http"),
    ("http.method", "http"),
)
"""What a span without any such attribute is, by what it carries."""

FIRST_TOKEN_EVENTS = frozenset({"First Token Stream Event", "gen_ai.content.completion.chunk"})
MESSAGE_EVENTS = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
"""Span events of the conventions before 1.37 that carry the prompt, and the role they speak for."""
TOOL_EVENT = "gen_ai.tool.message"

DETAIL_EVENT = "gen_ai.client.inference.operation.details"
EVALUATION_EVENT = "gen_ai.evaluation.result"
EXCEPTION_EVENTS = ("exception", "gen_ai.client.operation.exception")
PROMPT_EVENT, COMPLETION_EVENT, CHOICE_EVENT = (
    "gen_ai.content.prompt",
    "gen_ai.content.completion",
    "gen_ai.choice",
)

__all__ = [
    "CHOICE_EVENT",
    "COMPLETION_EVENT",
    "DETAIL_EVENT",
    "DIALECTS",
    "EVALUATION_EVENT",
    "EXCEPTION_EVENTS",
    "FIRST_TOKEN_EVENTS",
    "KIND_BY_PRESENCE",
    "KIND_ORDER",
    "MESSAGE_EVENTS",
    "PROMPT_EVENT",
    "TOOL_EVENT",
    "Dialect",
    "normalised",
]
