"""The Vercel AI SDK's telemetry, versions 3 to 6."""

from penstock.traces.dialects.terms import Dialect

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
            "ai.rerank": "chain",
            "ai.rerank.dorerank": "retriever",
            "ai.toolcall": "tool",
        }
    },
    fields={
        "provider": ("ai.model.provider",),
        "requested_model": ("ai.model.id",),
        "model": ("ai.response.model",),
        "response_id": ("ai.response.id",),
        "finish": ("ai.response.finishReason",),
        "input_tokens": ("ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens"),
        "output_tokens": ("ai.usage.outputTokens", "ai.usage.completionTokens"),
        "total_tokens": ("ai.usage.totalTokens",),
        "cached_tokens": ("ai.usage.inputTokenDetails.cacheReadTokens", "ai.usage.cachedInputTokens"),
        "cache_write_tokens": ("ai.usage.inputTokenDetails.cacheWriteTokens",),
        "reasoning_tokens": ("ai.usage.outputTokenDetails.reasoningTokens", "ai.usage.reasoningTokens"),
        "ttft_ms": ("ai.response.msToFirstChunk", "ai.stream.msToFirstChunk"),
        "session": ("ai.telemetry.metadata.sessionId", "sessionId"),
        "user": ("ai.telemetry.metadata.userId",),
        "tool": ("ai.toolCall.name",),
        "tools": ("ai.prompt.tools",),
        "input": ("ai.prompt.messages", "ai.prompt", "ai.toolCall.args", "ai.values", "ai.value"),
        "output": ("ai.response.text", "ai.response.object", "ai.toolCall.result"),
        "output_tools": ("ai.response.toolCalls",),
        "output_reasoning": ("ai.response.reasoning",),
    },
    prefixes={"metadata": ("ai.telemetry.metadata.",), "parameters": ("ai.settings.",)},
    cache_beside={"ai.model.provider": ("anthropic", "amazon-bedrock", "bedrock")},
)
