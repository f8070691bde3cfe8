"""How instrumentations name things: tables only, one per dialect; `mapping` does the work.

A field lists the attribute keys that may hold it, per dialect; the order of `DIALECTS` decides where two of them
speak in one span. Sources: OpenTelemetry GenAI semantic conventions 1.28–1.41 and semantic-conventions-genai,
OpenInference semantic conventions 0.1, OpenLLMetry (Traceloop) semantic conventions 0.4, and the attribute names that
the Langfuse, LangSmith, MLflow, pydantic-ai and Vercel AI SDKs send.
"""

from dataclasses import dataclass, field

from penstock.traces.model import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One instrumentation's vocabulary."""

    name: str
    kind_keys: dict[str, dict[str, Kind]] = field(default_factory=dict)
    """Attribute → its lower-case values → our kind; a value that is not listed says nothing."""
    fields: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Our field → attribute keys, best first."""
    lists: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """`input` or `output` → prefixes of flattened lists (`<prefix>.0.message.role`)."""
    prefixes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """`metadata` → prefixes whose rest is the key."""


_OPENINFERENCE_KINDS: dict[str, Kind] = {
    "llm": "llm",
    "embedding": "embedding",
    "tool": "tool",
    "retriever": "retriever",
    "reranker": "retriever",
    "chain": "chain",
    "prompt": "chain",
    "evaluator": "chain",
    "agent": "agent",
    "guardrail": "guard",
    "decision": "other",
    "unknown": "other",
}

OPENINFERENCE = Dialect(
    name="openinference",
    kind_keys={"openinference.span.kind": _OPENINFERENCE_KINDS},
    fields={
        "provider": ("llm.provider", "llm.system"),
        "requested_model": ("llm.request.model_name",),
        "model": (
            "llm.response.model_name",
            "llm.model_name",
            "embedding.model_name",
            "reranker.model_name",
        ),
        "input_tokens": ("llm.token_count.prompt",),
        "output_tokens": ("llm.token_count.completion",),
        "total_tokens": ("llm.token_count.total",),
        "cached_tokens": ("llm.token_count.prompt_details.cache_read",),
        "cache_write_tokens": ("llm.token_count.prompt_details.cache_write",),
        "reasoning_tokens": ("llm.token_count.completion_details.reasoning",),
        "cost": ("llm.cost.total",),
        "session": ("session.id",),
        "user": ("user.id",),
        "tags": ("tag.tags",),
        "metadata": ("metadata",),
        "prompt_name": ("prompt.id",),
        "input": ("input.value",),
        "output": ("output.value",),
    },
    lists={
        "input": ("llm.input_messages", "llm.prompts"),
        "output": ("llm.output_messages", "llm.choices", "retrieval.documents", "reranker.output_documents"),
    },
)

OTEL_GENAI = Dialect(
    name="gen_ai",
    kind_keys={
        "gen_ai.operation.name": {
            "chat": "llm",
            "generate_content": "llm",
            "text_completion": "llm",
            "completion": "llm",
            "embeddings": "embedding",
            "embedding": "embedding",
            "retrieval": "retriever",
            "search_memory": "retriever",
            "execute_tool": "tool",
            "create_agent": "agent",
            "invoke_agent": "agent",
            "plan": "agent",
            "invoke_workflow": "chain",
        }
    },
    fields={
        "provider": ("gen_ai.provider.name", "gen_ai.system"),
        "requested_model": ("gen_ai.request.model",),
        "model": ("gen_ai.response.model",),
        "input_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
        "output_tokens": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
        "total_tokens": ("gen_ai.usage.total_tokens",),
        "cached_tokens": (
            "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.cache_read_input_tokens",
            "gen_ai.usage.details.cache_read_tokens",
            "gen_ai.usage.input_tokens.cached",
        ),
        "cache_write_tokens": (
            "gen_ai.usage.cache_write.input_tokens",
            "gen_ai.usage.cache_creation.input_tokens",
            "gen_ai.usage.cache_creation_input_tokens",
            "gen_ai.usage.details.cache_write_tokens",
        ),
        "reasoning_tokens": (
            "gen_ai.usage.reasoning.output_tokens",
            "gen_ai.usage.reasoning_tokens",
            "gen_ai.usage.details.reasoning_tokens",
        ),
        "cost": ("gen_ai.usage.cost", "operation.cost"),
        "session": ("gen_ai.conversation.id",),
        "user": ("enduser.id", "gen_ai.user"),
        "prompt_name": ("gen_ai.prompt.name",),
        "prompt_version": ("gen_ai.prompt.version",),
        "ttft_s": ("gen_ai.response.time_to_first_chunk",),
        "environment": ("deployment.environment.name", "deployment.environment"),
        "error": ("error.type",),
        "system": ("gen_ai.system_instructions",),
        "input": (
            "gen_ai.input.messages",
            "gen_ai.prompt",
            "pydantic_ai.all_messages",
            "all_messages_events",
            "gen_ai.tool.call.arguments",
            "gen_ai.retrieval.query.text",
        ),
        "output": (
            "gen_ai.output.messages",
            "gen_ai.completion",
            "gen_ai.tool.call.result",
            "gen_ai.retrieval.documents",
        ),
    },
    lists={"input": ("gen_ai.prompt",), "output": ("gen_ai.completion",)},
)

TRACELOOP = Dialect(
    name="traceloop",
    kind_keys={
        "traceloop.span.kind": {"workflow": "chain", "task": "chain", "agent": "agent", "tool": "tool"},
        "llm.request.type": {
            "chat": "llm",
            "completion": "llm",
            "embedding": "embedding",
            "rerank": "retriever",
        },
    },
    fields={
        "requested_model": ("llm.request.model",),
        "model": ("llm.response.model",),
        "input_tokens": ("llm.usage.prompt_tokens",),
        "output_tokens": ("llm.usage.completion_tokens",),
        "total_tokens": ("llm.usage.total_tokens",),
        "cached_tokens": ("llm.usage.cache_read_input_tokens",),
        "cache_write_tokens": ("llm.usage.cache_creation_input_tokens",),
        "session": (
            "traceloop.association.properties.session_id",
            "traceloop.association.properties.chat_id",
        ),
        "user": ("traceloop.association.properties.user_id", "llm.user"),
        "prompt_name": ("traceloop.prompt.key",),
        "prompt_version": ("traceloop.prompt.version",),
        "input": ("traceloop.entity.input",),
        "output": ("traceloop.entity.output",),
    },
    prefixes={"metadata": ("traceloop.association.properties.",)},
)

LANGFUSE = Dialect(
    name="langfuse",
    kind_keys={
        "langfuse.observation.type": {
            "generation": "llm",
            "span": "chain",
            "chain": "chain",
            "evaluator": "chain",
            "agent": "agent",
            "tool": "tool",
            "retriever": "retriever",
            "embedding": "embedding",
            "guardrail": "guard",
            "event": "other",
        }
    },
    fields={
        "model": ("langfuse.observation.model.name",),
        "usage": ("langfuse.observation.usage_details",),
        "costs": ("langfuse.observation.cost_details",),
        "first_token_at": ("langfuse.observation.completion_start_time",),
        "session": ("langfuse.session.id",),
        "user": ("langfuse.user.id",),
        "tags": ("langfuse.trace.tags",),
        "environment": ("langfuse.environment",),
        "prompt_name": ("langfuse.observation.prompt.name",),
        "prompt_version": ("langfuse.observation.prompt.version",),
        "input": ("langfuse.observation.input",),
        "output": ("langfuse.observation.output",),
    },
    prefixes={"metadata": ("langfuse.trace.metadata.", "langfuse.observation.metadata.")},
)

LANGSMITH = Dialect(
    name="langsmith",
    kind_keys={
        "langsmith.span.kind": {
            "llm": "llm",
            "chain": "chain",
            "prompt": "chain",
            "parser": "chain",
            "tool": "tool",
            "retriever": "retriever",
            "embedding": "embedding",
        }
    },
    fields={
        "provider": ("langsmith.metadata.ls_provider",),
        "requested_model": ("langsmith.metadata.ls_model_name",),
        "session": ("langsmith.metadata.session_id", "langsmith.metadata.thread_id"),
        "user": ("langsmith.metadata.user_id",),
        "tags": ("langsmith.span.tags",),
    },
    prefixes={"metadata": ("langsmith.metadata.",)},
)

VERCEL = Dialect(
    name="vercel_ai",
    kind_keys={
        "ai.operationId": {
            "ai.generatetext": "chain",
            "ai.streamtext": "chain",
            "ai.generateobject": "chain",
            "ai.streamobject": "chain",
            "ai.generatetext.dogenerate": "llm",
            "ai.streamtext.dostream": "llm",
            "ai.generateobject.dogenerate": "llm",
            "ai.streamobject.dostream": "llm",
            "ai.embed": "chain",
            "ai.embedmany": "chain",
            "ai.embed.doembed": "embedding",
            "ai.embedmany.doembed": "embedding",
            "ai.toolcall": "tool",
        }
    },
    fields={
        "provider": ("ai.model.provider",),
        "requested_model": ("ai.model.id",),
        "model": ("ai.response.model",),
        "input_tokens": ("ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens"),
        "output_tokens": ("ai.usage.outputTokens", "ai.usage.completionTokens"),
        "cached_tokens": ("ai.usage.cachedInputTokens",),
        "reasoning_tokens": ("ai.usage.reasoningTokens",),
        "ttft_ms": ("ai.response.msToFirstChunk",),
        "session": ("ai.telemetry.metadata.sessionId",),
        "user": ("ai.telemetry.metadata.userId",),
        "input": ("ai.prompt.messages", "ai.prompt", "ai.toolCall.args"),
        "output": ("ai.response.text", "ai.response.object", "ai.response.toolCalls", "ai.toolCall.result"),
    },
    prefixes={"metadata": ("ai.telemetry.metadata.",)},
)

MLFLOW = Dialect(
    name="mlflow",
    kind_keys={
        "mlflow.spanType": {
            "llm": "llm",
            "chat_model": "llm",
            "embedding": "embedding",
            "tool": "tool",
            "retriever": "retriever",
            "reranker": "retriever",
            "chain": "chain",
            "parser": "chain",
            "agent": "agent",
            "guardrail": "guard",
        }
    },
    fields={
        "model": ("mlflow.llm.model",),
        "provider": ("mlflow.llm.provider",),
        "usage": ("mlflow.chat.tokenUsage",),
        "session": ("mlflow.trace.session",),
        "user": ("mlflow.trace.user",),
        "input": ("mlflow.spanInputs",),
        "output": ("mlflow.spanOutputs",),
    },
    prefixes={"metadata": ("mlflow.metadata.",)},
)

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
    ("gen_ai.request.model", "llm"),
    ("retrieval.documents.0.document.content", "retriever"),
    ("embedding.model_name", "embedding"),
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

DETAIL_EVENT = "gen_ai.client.inference.operation.details"
PROMPT_EVENT, COMPLETION_EVENT, CHOICE_EVENT = (
    "gen_ai.content.prompt",
    "gen_ai.content.completion",
    "gen_ai.choice",
)
