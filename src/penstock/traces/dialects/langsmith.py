"""LangSmith's OpenTelemetry mode (LANGSMITH_OTEL_ENABLED): langsmith 0.3–0.14."""

from penstock.traces.dialects.terms import Dialect

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
        "session": (
            "langsmith.metadata.session_id",
            "langsmith.metadata.thread_id",
            "langsmith.metadata.conversation_id",
        ),
        "user": ("langsmith.metadata.user_id",),
        "tags": ("langsmith.span.tags",),
        "prompt_name": ("langsmith.metadata.lc_hub_repo",),
        "prompt_version": ("langsmith.metadata.lc_hub_commit_hash",),
        "usage": ("langsmith.metadata.usage_metadata",),
    },
    prefixes={"metadata": ("langsmith.metadata.",)},
)
