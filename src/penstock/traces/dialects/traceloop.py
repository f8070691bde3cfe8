"""OpenLLMetry (Traceloop), before and after it took up the OpenTelemetry names: 0.30–0.62."""

from penstock.traces.dialects.terms import Dialect

TRACELOOP = Dialect(
    name="traceloop",
    kind_keys={
        "traceloop.span.kind": {
            "workflow": "chain",
            "task": "chain",
            "agent": "agent",
            "tool": "tool",
            "session": "chain",
        },
        "llm.request.type": {
            "chat": "llm",
            "completion": "llm",
            "embedding": "embedding",
            "rerank": "retriever",
        },
    },
    fields={
        "provider": ("llm.vendor",),
        "requested_model": ("llm.request.model",),
        "model": ("llm.response.model",),
        "response_id": ("llm.response.id",),
        "finish": ("llm.response.finish_reason", "llm.response.stop_reason"),
        "stream": ("llm.is_streaming",),
        "input_tokens": ("llm.usage.prompt_tokens",),
        "output_tokens": ("llm.usage.completion_tokens",),
        "total_tokens": ("llm.usage.total_tokens",),
        "cached_tokens": ("llm.usage.cache_read_input_tokens",),
        "cache_write_tokens": ("llm.usage.cache_creation_input_tokens",),
        "reasoning_tokens": ("llm.usage.reasoning_tokens",),
        "session": (
            "traceloop.association.properties.session_id",
            "traceloop.association.properties.chat_id",
            "traceloop.association.properties.thread_id",
        ),
        "user": ("traceloop.association.properties.user_id", "llm.user"),
        "prompt_name": ("traceloop.prompt.key",),
        "prompt_version": ("traceloop.prompt.version",),
        "prompt_variables": ("traceloop.prompt.template_variables",),
        "input": ("traceloop.entity.input",),
        "output": ("traceloop.entity.output",),
    },
    lists={"tools": ("llm.request.functions",)},
    prefixes={"metadata": ("traceloop.association.properties.",), "parameters": ("llm.request.",)},
)
