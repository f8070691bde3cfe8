"""What a Response says of its request, and the dialect that adds it to answers.

Shape: https://platform.openai.com/docs/api-reference/responses/object.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.gateway.dialects.base import Answer, Dialect, Fault, Relay
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.dialects.responses_pieces import custom_call
from penstock.gateway.dialects.responses_request import customs_of

DEFAULTS: Mapping[str, Any] = {
    "background": False,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "previous_response_id": None,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "service_tier": None,
    "store": True,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": None,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
"""Members of a Response that repeat the request's, and what they are when the request has none."""
_NULL = b"null"
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.Encoder().encode


class Expanded(Envelope):
    """A request whose `previous_response_id` was replaced by what it stands for; the answer still names it."""

    __slots__ = ("previous",)

    def __init__(self, body: bytes, previous: str) -> None:
        """Decode `body`, the request with all of its input; raises Invalid."""
        super().__init__(body)
        self.previous = previous


def echo_of(envelope: Envelope) -> dict[str, Any]:
    """Return the members of the Response that repeat the request."""
    given = envelope.fields
    out = {
        name: given[name] if name in given and bytes(given[name]) != _NULL else default
        for name, default in DEFAULTS.items()
    }
    if isinstance(envelope, Expanded):
        out["previous_response_id"] = envelope.previous
    return out


def customs_in(envelope: Envelope) -> frozenset[str]:
    """Return the names of the request's custom tools."""
    raw = envelope.fields.get("tools")
    return (
        customs_of({"tools": msgspec.json.decode(raw)}) if raw and b'"custom"' in bytes(raw) else frozenset()
    )


class Echoed:
    """Any dialect that makes Responses out of other answers: what whole answers say of the request is added here."""

    def __init__(self, inner: Dialect) -> None:
        self._inner = inner

    def request(self, envelope: Envelope, model: str) -> bytes:
        """Return the provider's body; raises Invalid when it cannot be expressed there."""
        return self._inner.request(envelope, model)

    def answer(self, body: bytes, alias: str) -> Answer:
        """Return the Response to a request of which nothing is known."""
        return self._inner.answer(body, alias)

    def answer_to(self, envelope: Envelope, body: bytes) -> Answer:
        """Return the Response to `envelope`; raises Upstream for an answer that makes no sense."""
        made = self._inner.answer(body, envelope.model)
        fields: dict[str, Any] = dict(_fields.decode(made.body))
        tier = fields.get("service_tier", msgspec.Raw(_NULL))
        fields |= echo_of(envelope)
        if bytes(tier) != _NULL:
            fields["service_tier"] = tier  # the one that was given, not the one that was asked for
        if customs := customs_in(envelope):
            items = msgspec.json.decode(fields["output"])
            fields["output"] = [custom_call(item) if item.get("name") in customs else item for item in items]
        return Answer(_encode(fields), made.usage, made.model)

    def relay(self, envelope: Envelope) -> Relay:
        """Return a relay for one stream."""
        return self._inner.relay(envelope)

    def fault(self, status: int, body: bytes) -> Fault:
        """Return what the provider's error body says."""
        return self._inner.fault(status, body)
