"""The seam between a call and the API families: one dialect per pair of caller's and provider's shape."""

from typing import NamedTuple, Protocol, runtime_checkable

from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.model import Usage

CAPTURE_LIMIT = 1024 * 1024
"""Characters of a streamed answer that are kept for its trace."""


class Answer(NamedTuple):
    """A complete answer in the caller's shape."""

    body: bytes
    usage: Usage | None
    model: str
    """The model's name as the provider gives it."""


class Fault(NamedTuple):
    """An error that a provider reported, free of its dialect."""

    message: str
    type: str = ""
    code: str = ""
    param: str = ""
    retry_after: float | None = None
    """Seconds to wait, where the body says it."""


class Relay(Protocol):
    """Carries one stream: fed with what the provider sends, it returns what the caller gets."""

    @property
    def usage(self) -> Usage | None:
        """Tokens, as far as the provider has told."""

    @property
    def model(self) -> str:
        """The provider's name of the model."""

    @property
    def fault(self) -> Fault | None:
        """Set once the stream told of an error; the error itself is not among the bytes returned."""

    @property
    def complete(self) -> bool:
        """Whether the provider said that the answer is whole."""

    def feed(self, data: bytes) -> bytes:
        """Return the caller's bytes for the complete events in what came so far; may be empty."""
        ...

    def finish(self) -> bytes:
        """Return what is still owed to the caller when the provider has ended the stream."""
        ...

    def output(self) -> bytes:
        """Return the answer put together, as JSON in the shape of one that was not streamed."""
        ...


class Dialect(Protocol):
    """Translates one operation between a caller and a provider. Pure: no I/O, no state between calls."""

    def request(self, envelope: Envelope, model: str) -> bytes:
        """Return the provider's body for the caller's; raises Invalid when it cannot be expressed there."""
        ...

    def answer(self, body: bytes, alias: str) -> Answer:
        """Return the caller's answer, with `alias` as its model; raises Upstream for one that makes no sense."""
        ...

    def relay(self, envelope: Envelope) -> Relay:
        """Return a relay for one stream."""
        ...

    def fault(self, status: int, body: bytes) -> Fault:
        """Return what the provider's error body says."""
        ...


@runtime_checkable
class Replying(Protocol):
    """A dialect whose answers tell of the request, as OpenAI's Responses do."""

    def answer_to(self, envelope: Envelope, body: bytes) -> Answer:
        """Return the caller's answer to `envelope`; raises Upstream for one that makes no sense."""
        ...


@runtime_checkable
class Failing(Protocol):
    """A relay whose stream has an end of its own for errors."""

    def failed(self, fault: Fault) -> bytes:
        """Return the end of a stream that broke with `fault`; nothing when it has not begun."""
        ...
