"""Where servers that speak OpenAI's chat API differ from it, as data, and a dialect that makes up for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from penstock.gateway.dialects.base import Answer, Dialect, Fault, Relay
from penstock.gateway.dialects.envelope import Envelope, raw_text
from penstock.gateway.dialects.sse import EventBuffer
from penstock.gateway.model import Usage

REASONING = "reasoning_content"
"""The name under which all callers find what a model thought."""
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])
_encode = msgspec.json.Encoder().encode
_ERRORS = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
_DEVELOPER, _SYSTEM = b'"developer"', msgspec.Raw(b'"system"')
_UNNAMED = b'"model":""'


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """What is different about a server. Everything left at its default costs nothing."""

    rename: Mapping[str, str] = field(default_factory=dict)
    """Members of a request that it knows under another name."""
    ignored: frozenset[str] = frozenset()
    """Hints that it would refuse: always left out, for leaving them out changes no answer."""
    unsupported: frozenset[str] = frozenset()
    """Members that it refuses: left out only with the option `drop_params`."""
    developer_as_system: bool = False
    """Whether it knows no role `developer`."""
    reasoning: str = ""
    """Its name of `reasoning_content` in answers, when that is another."""
    unnamed: bool = False
    """Whether chunks may come without a model's name."""

    @property
    def of_requests(self) -> bool:
        """Whether anything of a request may have to change."""
        return bool(self.rename or self.ignored or self.unsupported or self.developer_as_system)


class Quirked:
    """Any dialect over chat completions, for a server with quirks."""

    def __init__(self, inner: Dialect, quirks: Quirks, *, drop_params: bool = False) -> None:
        self._inner = inner
        self._quirks = quirks
        self._gone = quirks.ignored | (quirks.unsupported if drop_params else frozenset())

    def request(self, envelope: Envelope, model: str) -> bytes:
        """Return the inner dialect's body, in the server's words; untouched when nothing differs."""
        body = self._inner.request(envelope, model)
        if not self._quirks.of_requests:
            return body
        fields = _fields.decode(body)
        found = self._rewritten(fields)
        return body if found is None else _encode(found)

    def _rewritten(self, fields: dict[str, msgspec.Raw]) -> dict[str, msgspec.Raw] | None:
        rename, changed = self._quirks.rename, False
        out: dict[str, msgspec.Raw] = {}
        for name, value in fields.items():
            if name in self._gone:
                changed = True
            elif name in rename:
                out[rename[name]], changed = value, True
            else:
                out.setdefault(name, value)  # what was renamed to this wins
        raw = out.get("messages")
        if raw is not None and self._quirks.developer_as_system and _DEVELOPER in bytes(raw):
            out["messages"], changed = msgspec.Raw(_without_developers(raw)), True
        return out if changed else None

    def answer(self, body: bytes, alias: str) -> Answer:
        """Return the answer, with thoughts under the name that all callers know."""
        name = self._quirks.reasoning
        return self._inner.answer(_renamed(body, name, "message") if name else body, alias)

    def relay(self, envelope: Envelope) -> Relay:
        """Return a relay for one stream: the inner one when chunks need no change."""
        inner = self._inner.relay(envelope)
        if not self._quirks.reasoning and not self._quirks.unnamed:
            return inner
        return QuirkedRelay(inner, self._quirks, envelope.model)

    def fault(self, status: int, body: bytes) -> Fault:
        """Return what the provider's error body says."""
        return self._inner.fault(status, body)


def _without_developers(messages: msgspec.Raw) -> bytes:
    try:
        found = _list.decode(messages)
    except _ERRORS:
        return bytes(messages)  # not messages at all: the server says what is wrong with them
    for message in found:
        if bytes(message.get("role", b"")) == _DEVELOPER:
            message["role"] = _SYSTEM
    return _encode(found)


def _renamed(body: bytes, name: str, holder: str) -> bytes:
    """Return a completion (`holder` "message") or chunk ("delta") with `name` of each choice renamed."""
    if b'"%b"' % name.encode() not in body:
        return body
    try:
        fields = _fields.decode(body)
        choices = _list.decode(fields["choices"])
        for choice in choices:
            inner = _fields.decode(choice.get(holder, b"{}"))
            if name in inner and REASONING not in inner:
                changed: dict[str, Any] = {REASONING if key == name else key: inner[key] for key in inner}
                choice[holder] = msgspec.Raw(_encode(changed))
    except (*_ERRORS, KeyError):
        return body  # no completion as we know it: the inner dialect judges
    return _encode(fields | {"choices": msgspec.Raw(_encode(choices))})


class QuirkedRelay:
    """Puts a server's chunks into common words before the inner relay reads them."""

    __slots__ = ("_alias", "_events", "_inner", "_quirks")

    def __init__(self, inner: Relay, quirks: Quirks, alias: str) -> None:
        self._inner = inner
        self._quirks = quirks
        self._alias = b'"model":' + bytes(raw_text(alias))
        self._events = EventBuffer()

    @property
    def usage(self) -> Usage | None:
        """Tokens, as far as the provider has told."""
        return self._inner.usage

    @property
    def model(self) -> str:
        """The provider's name of the model."""
        return self._inner.model

    @property
    def fault(self) -> Fault | None:
        """The error that the stream told of."""
        return self._inner.fault

    @property
    def complete(self) -> bool:
        """Whether the caller has the whole answer."""
        return self._inner.complete

    def feed(self, data: bytes) -> bytes:
        """Return the caller's bytes for the events that `data` completes."""
        found = [self._event(event) + b"\n\n" for event in self._events.feed(data) if event]
        return self._named(self._inner.feed(b"".join(found))) if found else b""

    def _named(self, out: bytes) -> bytes:
        # Inside JSON strings quotes are escaped, so these bytes can only be the member itself.
        return out.replace(_UNNAMED, self._alias) if self._quirks.unnamed and _UNNAMED in out else out

    def _event(self, event: bytes) -> bytes:
        if not event.startswith(b"data: {") or b"\n" in event:
            return event
        if not self._quirks.reasoning:
            return event
        return b"data: " + _renamed(event[6:], self._quirks.reasoning, "delta")

    def finish(self) -> bytes:
        """Return what is still owed to the caller when the provider has ended the stream."""
        rest = self._events.rest.strip()
        last = self._inner.feed(self._event(rest) + b"\n\n") if rest else b""
        return self._named(last if self._inner.complete else last + self._inner.finish())

    def output(self) -> bytes:
        """Return the answer put together."""
        return self._inner.output()
