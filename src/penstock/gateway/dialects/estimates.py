"""Operations that the gateway answers itself where a provider has nothing of the kind, and advice where it cannot."""

from collections.abc import Callable, Mapping

from penstock.gateway.dialects import gemini_counting, messages_counting
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.model import Operation

ESTIMATES: Mapping[Operation, Callable[[Envelope], bytes]] = {
    Operation.GEMINI_COUNT: gemini_counting.estimate,
    Operation.COUNT_TOKENS: messages_counting.estimate,
}
"""Operation → the answer for a body; raises Invalid. See `counting` for what the figures are worth."""

_EMBEDDERS = (
    "Route this model to a provider with embeddings: "
    "OpenAI and its like, azure, gemini, vertex, bedrock, cohere or local."
)
ADVICE: Mapping[Operation, str] = {
    Operation.MODERATIONS: "OpenAI has them, and any kind that speaks its API with the option moderations = true.",
    Operation.EMBEDDINGS: _EMBEDDERS,
    Operation.EMBED_CONTENT: _EMBEDDERS,
    Operation.BATCH_EMBED: _EMBEDDERS,
}
"""Operation → who can do it, for the error that says that a provider cannot."""
