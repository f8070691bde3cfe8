"""The Langfuse SDK, 3 to 5: attributes of its OpenTelemetry spans."""

from penstock.traces.dialects.terms import Dialect

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
        "metadata": ("langfuse.trace.metadata", "langfuse.observation.metadata"),
        "environment": ("langfuse.environment",),
        "prompt_name": ("langfuse.observation.prompt.name",),
        "prompt_version": ("langfuse.observation.prompt.version",),
        "error": ("langfuse.observation.status_message",),
        "level": ("langfuse.observation.level",),
        "settings": ("langfuse.observation.model.parameters",),
        "input": ("langfuse.observation.input", "langfuse.trace.input"),
        "output": ("langfuse.observation.output", "langfuse.trace.output"),
    },
    prefixes={"metadata": ("langfuse.trace.metadata.", "langfuse.observation.metadata.")},
)
