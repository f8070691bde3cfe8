"""MLflow Tracing, exported by OpenTelemetry: mlflow 3.x; values are JSON texts."""

from penstock.traces.dialects.terms import Dialect

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
            "memory": "other",
            "chain": "chain",
            "parser": "chain",
            "task": "chain",
            "workflow": "chain",
            "evaluator": "chain",
            "agent": "agent",
            "guardrail": "guard",
        }
    },
    fields={
        "model": ("mlflow.llm.model",),
        "provider": ("mlflow.llm.provider",),
        "usage": ("mlflow.chat.tokenUsage",),
        "costs": ("mlflow.llm.cost",),
        "tools": ("mlflow.chat.tools",),
        "session": ("mlflow.trace.session",),
        "user": ("mlflow.trace.user",),
        "input": ("mlflow.spanInputs",),
        "output": ("mlflow.spanOutputs",),
    },
    prefixes={"metadata": ("mlflow.traceTag.",)},
    cache_beside={"mlflow.message.format": ("anthropic", "bedrock")},
)
