"""Every caller's family, over one provider's way with chat completions."""

from penstock.gateway.dialects.base import Dialect
from penstock.gateway.dialects.chained import Chained
from penstock.gateway.dialects.messages_over_chat import MessagesOverChat
from penstock.gateway.model import Operation


def fronts(back: Dialect) -> dict[Operation, Dialect]:
    """Return the dialect of each chat-like operation for a provider whose chat completions `back` carries."""
    return {Operation.CHAT: back, Operation.MESSAGES: Chained(MessagesOverChat(), back)}
