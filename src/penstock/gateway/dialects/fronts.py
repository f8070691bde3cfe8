"""Every caller's family, over one provider's way with chat completions or with embeddings."""

from penstock.gateway.dialects.base import Dialect
from penstock.gateway.dialects.chained import Chained
from penstock.gateway.dialects.completions_over_chat import CompletionsOverChat
from penstock.gateway.dialects.gemini_embeddings import GeminiOverEmbeddings
from penstock.gateway.dialects.gemini_over_chat import GeminiOverChat
from penstock.gateway.dialects.messages_over_chat import MessagesOverChat
from penstock.gateway.model import Operation

EMBEDDING = frozenset({Operation.EMBEDDINGS, Operation.EMBED_CONTENT, Operation.BATCH_EMBED})
"""Operations that end in one request for embeddings."""


def fronts(back: Dialect, *, drop_params: bool = False) -> dict[Operation, Dialect]:
    """Return the dialect of each chat-like operation for a provider whose chat completions `back` carries.

    With `drop_params`, what has no counterpart in chat completions is left out, too.
    """
    return {
        Operation.CHAT: back,
        Operation.COMPLETIONS: Chained(CompletionsOverChat(), back),
        Operation.MESSAGES: Chained(MessagesOverChat(drop_params=drop_params), back),
        Operation.GENERATE: Chained(GeminiOverChat(), back),
    }


def embedding_fronts(back: Dialect) -> dict[Operation, Dialect]:
    """Return the dialect of Gemini's embedding operations for a provider whose OpenAI embeddings `back` carries."""
    return {
        Operation.EMBED_CONTENT: Chained(GeminiOverEmbeddings(batch=False), back),
        Operation.BATCH_EMBED: Chained(GeminiOverEmbeddings(batch=True), back),
    }
