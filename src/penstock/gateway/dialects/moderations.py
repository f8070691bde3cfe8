"""OpenAI's moderations, for providers that have them: passed through.

Shapes: https://platform.openai.com/docs/api-reference/moderations.
"""

from penstock.gateway.dialects.base import Answer
from penstock.gateway.dialects.envelope import Envelope, raw_text
from penstock.gateway.dialects.openai import OpenAIDialect
from penstock.gateway.model import Usage

DEFAULT_MODEL = "omni-moderation-latest"
"""The model of a request that names none."""


class ModerationsDialect(OpenAIDialect):
    """Moderations of OpenAI's API: free, and without token counts."""

    def __init__(self) -> None:
        super().__init__(ask_usage=False)

    def request(self, envelope: Envelope, model: str) -> bytes:
        """Return the caller's body with the target's model, which the caller may have left out."""
        return envelope.with_fields({"model": raw_text(model)})

    def answer(self, body: bytes, alias: str) -> Answer:
        """Return the body with the caller's model name."""
        return super().answer(body, alias)._replace(usage=Usage())
