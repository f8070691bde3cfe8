"""One call of a model while it is recorded: opened before the request, ended by its answer, stream's end or error.

Nothing here raises, whatever the client library hands over; what the program gets is what the library gave.
"""

import contextlib
from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

from penstock.sdk import clock, runtime
from penstock.sdk.current import activate, deactivate
from penstock.sdk.quiet import fault
from penstock.sdk.spans import Kind, Span, start
from penstock.sdk.wrapping.reading import Attributes


class Gathering(Protocol):
    """A streamed answer while its pieces come in."""

    def add(self, piece: Any) -> bool:
        """Take one piece; return whether the model has begun to answer with it."""
        ...

    def attributes(self) -> Attributes:
        """Return what is known so far, as of a whole answer."""
        ...


class Endpoint(Protocol):
    """How the requests and answers of one kind of call are read."""

    operation: str
    kind: Kind

    def request(self, body: Any) -> Attributes:
        """Return the attributes of a request."""
        ...

    def response(self, answer: Any) -> Attributes:
        """Return the attributes of a whole answer."""
        ...

    def gathering(self) -> Gathering:
        """Return what takes the pieces of a streamed answer."""
        ...


class Server:
    """Where a client sends its calls."""

    def __init__(self, url: str, provider: str) -> None:
        self.provider = provider
        parts = urlsplit(url)
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def is_gateway(self) -> bool:
        """Whether this is the Penstock server itself, which records every call that passes it."""
        try:
            own = urlsplit(runtime.config().url)
        except Exception as error:  # noqa: BLE001 - a malformed address switches tracing off, and breaks nothing
            fault("gateway", error)
            return False
        port = own.port or (443 if own.scheme == "https" else 80)
        return (_loopback(own.hostname or ""), port) == (_loopback(self.host), self.port)


def _loopback(host: str) -> str:
    return "127.0.0.1" if host in ("localhost", "::1") else host


class Call:
    """The span of one call, whose end comes once."""

    def __init__(self, span: Span, endpoint: Endpoint, *, gateway: bool) -> None:
        self.span, self.endpoint, self.gateway = span, endpoint, gateway
        self.contents = runtime.settings().capture and (not gateway or not span.parent_id)
        self._gathering: Gathering | None = None
        self._started = clock.now_ns()

    def headers(self, given: Any) -> dict[str, Any]:
        """Return the request's own headers, with those that make the gateway's span a child of this one."""
        headers = dict(given) if isinstance(given, Mapping) else {}
        if self.gateway:
            headers["traceparent"] = self.span.traceparent
        return headers

    def record(self, attributes: Attributes) -> None:
        """Add attributes, without contents where they are not wanted, and without tokens the gateway counts itself."""
        if (failed := attributes.pop("error", None)) and not self.span.end_ns:
            self.span.error = str(failed)
        if self.gateway or not self.contents:
            attributes = {name: value for name, value in attributes.items() if self._wanted(name)}
        self.span.update(attributes)

    def _wanted(self, name: str) -> bool:
        return (self.contents or name not in _CONTENTS) and not (
            self.gateway and name.startswith("gen_ai.usage.")
        )

    def answer(self, answer: Any) -> None:
        """End with a whole answer."""
        try:
            self.record(self.endpoint.response(answer))
        except Exception as error:  # noqa: BLE001 - tracing never raises into the traced program
            fault("answer", error)
        self.span.end()

    def piece(self, piece: Any) -> None:
        """Take a piece of a streamed answer."""
        try:
            if self._gathering is None:
                self._gathering = self.endpoint.gathering()
            began = self._gathering.add(piece)
            if began and _FIRST not in self.span.attributes:
                self.span.update({_FIRST: (clock.now_ns() - self._started) / 1e9})
        except Exception as error:  # noqa: BLE001 - tracing never raises into the traced program
            fault("piece", error)

    def fail(self, error: BaseException) -> None:
        """End with an error; a stream that broke keeps what it gave, and so does an answer that could not be parsed."""
        if not isinstance(error, GeneratorExit):
            self.span.fail(error)
        partial = getattr(error, "completion", None)
        if partial is not None:
            self.answer(partial)
        self.end()

    def end(self) -> None:
        """End with what a stream gave until now; does nothing after another end."""
        if self.span.end_ns:
            return
        try:
            if self._gathering is not None:
                self.record(self._gathering.attributes())
        except Exception as error:  # noqa: BLE001 - tracing never raises into the traced program
            fault("stream", error)
        self.span.end()

    @contextlib.contextmanager
    def running(self) -> Any:
        """Be the current span while the request is made; an error ends the call and goes on."""
        token = activate(self.span)
        try:
            yield
        except BaseException as error:
            self.fail(error)
            raise
        finally:
            deactivate(token)


_FIRST = "gen_ai.response.time_to_first_chunk"
_CONTENTS = frozenset(
    {
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.definitions",
    }
)


def open_call(endpoint: Endpoint, server: Server, body: Any) -> Call | None:
    """Return a call that begins, or None where it cannot be recorded."""
    try:
        gateway = server.is_gateway
        # The gateway counts the call in the span it makes below this one; a second model call would be billed twice.
        kind: Kind = "chain" if gateway else endpoint.kind
        request = endpoint.request(body)
        model = request.get("gen_ai.request.model") or ""
        span = start(
            runtime.exporter(),
            f"{endpoint.operation} {model}".strip(),
            kind=kind,
            rate=runtime.settings().sample_rate,
        )
        call = Call(span, endpoint, gateway=gateway)
        request |= {
            "gen_ai.operation.name": endpoint.operation,
            "gen_ai.provider.name": server.provider,
            "server.address": server.host,
            "server.port": server.port,
        }
        if gateway:
            request["penstock.gateway"] = True
        call.record(request)
        return call
    except Exception as error:  # noqa: BLE001 - tracing never raises into the traced program
        fault("call", error)
        return None
