"""Two dialects, one behind the other: any caller's family over any provider's, with chat completions between."""

from penstock.gateway.dialects.base import Answer, Dialect, Failing, Fault, Relay
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.model import Usage


class ChainedRelay:
    """Carries a stream through the provider's relay, then the caller's."""

    __slots__ = ("_back", "_front")

    def __init__(self, front: Relay, back: Relay) -> None:
        self._front = front
        self._back = back

    @property
    def usage(self) -> Usage | None:
        """Tokens, as far as the provider has told."""
        return self._back.usage

    @property
    def model(self) -> str:
        """The provider's name of the model."""
        return self._back.model

    @property
    def fault(self) -> Fault | None:
        """The error that the stream told of."""
        return self._back.fault or self._front.fault

    @property
    def complete(self) -> bool:
        """Whether the caller has the whole answer."""
        return self._front.complete

    def feed(self, data: bytes) -> bytes:
        """Return the caller's bytes for what the provider sent."""
        out = self._front.feed(self._back.feed(data))
        if self._back.fault is not None and isinstance(self._front, Failing):
            out += self._front.failed(self._back.fault)
        return out

    def finish(self) -> bytes:
        """Return what is still owed to the caller when the provider has ended the stream."""
        last = self._back.finish()
        if not self._back.complete:
            return self._front.feed(last)
        return self._front.feed(last) + (b"" if self._front.complete else self._front.finish())

    def output(self) -> bytes:
        """Return the answer put together, in the caller's shape."""
        return self._front.output()


class Chained:
    """`front` turns the caller's shape into chat completions, `back` chat completions into the provider's."""

    def __init__(self, front: Dialect, back: Dialect) -> None:
        self._front = front
        self._back = back

    @staticmethod
    def _between(body: bytes, envelope: Envelope) -> Envelope:
        between = Envelope(body)
        between.include_usage = envelope.stream  # the caller's shape may end with the counts
        return between

    def request(self, envelope: Envelope, model: str) -> bytes:
        """Return the provider's body for the caller's; raises Invalid when it cannot be expressed there."""
        return self._back.request(self._between(self._front.request(envelope, model), envelope), model)

    def answer(self, body: bytes, alias: str) -> Answer:
        """Return the caller's answer; raises Upstream for one that makes no sense."""
        between = self._back.answer(body, alias)
        made = self._front.answer(between.body, alias)
        return Answer(made.body, between.usage, between.model)

    def relay(self, envelope: Envelope) -> Relay:
        """Return a relay for one stream."""
        return ChainedRelay(self._front.relay(envelope), self._back.relay(_WithUsage(envelope)))

    def fault(self, status: int, body: bytes) -> Fault:
        """Return what the provider's error body says."""
        return self._back.fault(status, body)


class _WithUsage(Envelope):
    """The caller's envelope as the provider's relay sees it: counts are always wanted between the two."""

    __slots__ = ()

    def __init__(self, envelope: Envelope) -> None:
        self.body, self.fields = envelope.body, envelope.fields
        self.model, self.stream, self.include_usage = envelope.model, envelope.stream, True
