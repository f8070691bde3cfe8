"""OpenInference (Arize Phoenix): openinference-semantic-conventions 0.1.42."""

from penstock.traces.dialects.terms import Dialect

OPENINFERENCE = Dialect(
    name="openinference",
    kind_keys={
        "openinference.span.kind": {
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
    },
    fields={
        "provider": ("llm.provider", "llm.system"),
        "requested_model": ("llm.request.model_name",),
        "model": (
            "llm.response.model_name",
            "llm.model_name",
            "embedding.model_name",
            "reranker.model_name",
        ),
        "finish": ("llm.finish_reason",),
        "input_tokens": ("llm.token_count.prompt", "decision.token_count.input"),
        "output_tokens": ("llm.token_count.completion", "decision.token_count.output"),
        "total_tokens": ("llm.token_count.total",),
        "cached_tokens": (
            "llm.token_count.prompt_details.cache_read",
            "llm.token_count.prompt_details.cache_input",
        ),
        "cache_write_tokens": ("llm.token_count.prompt_details.cache_write",),
        "reasoning_tokens": ("llm.token_count.completion_details.reasoning",),
        "audio_input": ("llm.token_count.prompt_details.audio",),
        "audio_output": ("llm.token_count.completion_details.audio",),
        "cost": ("llm.cost.total",),
        "session": ("session.id",),
        "user": ("user.id",),
        "tags": ("tag.tags",),
        "metadata": ("metadata",),
        "prompt_name": ("prompt.id",),
        "prompt_version": ("llm.prompt_template.version",),
        "prompt_variables": ("llm.prompt_template.variables",),
        "agent": ("agent.name", "agent_name"),
        "tool": ("tool.name",),
        "settings": ("llm.invocation_parameters", "embedding.invocation_parameters"),
        "input": ("input.value", "tool.parameters", "reranker.query"),
        "output": ("output.value",),
    },
    lists={
        "input": ("llm.input_messages", "llm.prompts", "embedding.embeddings"),
        "output": ("llm.output_messages", "llm.choices", "retrieval.documents", "reranker.output_documents"),
        "tools": ("llm.tools",),
        "evaluations": (
            "evaluations",
            "annotations",
            "trace.evaluations",
            "trace.annotations",
            "session.evaluations",
            "session.annotations",
        ),
    },
)
