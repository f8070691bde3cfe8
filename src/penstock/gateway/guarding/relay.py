"""A relay behind guards: an event goes out once everything found in its texts is known, and not before.

Events keep their order and, where nothing in them changes, their bytes. An answer that is refused ends with a fault,
and nothing goes out from the event on in which the find begins.
"""

from collections import deque
from collections.abc import Callable, Collection
from typing import Any

from penstock.core.errors import PenstockError
from penstock.gateway.dialects.base import Fault, Relay
from penstock.gateway.dialects.sse import EventBuffer
from penstock.gateway.guarding.answers import document_of, edit_tree, forget_tokens, read
from penstock.gateway.guarding.events import READERS, Key
from penstock.gateway.guarding.leaves import Kind
from penstock.gateway.guarding.segments import Slot, SourceStream, Stream, TextStream
from penstock.gateway.guarding.wire import DONE, read_event, with_data, written_event
from penstock.gateway.model import Operation, Usage
from penstock.guardrails.channel import Channel
from penstock.guardrails.checking import Checker
from penstock.guardrails.model import Document, ToolCall
from penstock.guardrails.tally import Tally

Recorded = Callable[[bytes], bytes]
REFUSED = b'{"refused":"content_filter"}'
"""What the trace of a refused answer holds."""


class _Entry:
    """An event that waits."""

    __slots__ = ("changed", "document", "event", "slots")

    def __init__(self, event: bytes, document: Any) -> None:
        self.event = event
        self.document = document
        self.slots: list[Slot] = []
        self.changed = False

    @property
    def ready(self) -> bool:
        return all(segment.ready for slot in self.slots for segment in slot.segments)

    def settled(self, checker: Checker) -> bytes:
        for slot in self.slots:
            self.changed |= slot.settle(checker)
        if not self.changed:
            return self.event + b"\n\n"
        forget_tokens(self.document)
        return written_event(self.event, self.document) + b"\n\n"


class GuardedRelay:
    """Wraps a relay whose bytes have the caller's shape."""

    def __init__(
        self, source: Relay, operation: Operation, checkers: Callable[[], Checker], recorded: Recorded
    ) -> None:
        """`checkers` makes checkers for this answer; `recorded` tells how a whole one is shown in traces."""
        self._source = source
        self._operation = operation
        self._reader = READERS[operation]
        self._checker = checkers()
        self._repeats = checkers()
        """Sees what repeats streamed texts: its finds are counted only where they are new."""
        self._checkers = checkers
        self._whole: Checker | None = None
        self._recorded = recorded
        self._events = EventBuffer()
        self._streams: dict[Key, Stream] = {}
        self._queue: deque[_Entry] = deque()
        self._entry = _Entry(b"", None)
        self._tools: set[str] = set()
        self.fault: Fault | None = None
        if self._checker.tally.error is not None:
            self.refuse(self._checker.tally.error)

    # -- what a relay has ----------------------------------------------------------------------------------

    @property
    def usage(self) -> Usage | None:
        """Tokens, as far as the provider has told."""
        return self._source.usage

    @property
    def model(self) -> str:
        """The provider's name of the model."""
        return self._source.model

    @property
    def complete(self) -> bool:
        """Whether the answer is whole and all of it was returned."""
        return self._source.complete and self.fault is None

    @property
    def held(self) -> int:
        """Events that wait."""
        return len(self._queue)

    def tallies(self) -> list[Tally]:
        """Return what the guards said, the most telling first."""
        found = [self._checker.tally, self._repeats.tally]
        return [*found, self._whole.tally] if self._whole is not None else found

    def feed(self, data: bytes) -> bytes:
        """Return the caller's bytes that have passed the guards."""
        return self._pass(self._source.feed(data)) if self.fault is None else b""

    def finish(self) -> bytes:
        """Return what is still owed to the caller when the provider has ended the stream."""
        return self._pass(self._source.finish()) if self.fault is None else b""

    def output(self) -> bytes:
        """Return the answer put together as the guards let it pass, with stand-ins for what was put back."""
        if self.fault is not None:
            return REFUSED
        return self._recorded(self._source.output())

    # -- events --------------------------------------------------------------------------------------------

    def _pass(self, data: bytes) -> bytes:
        out: list[bytes] = []
        for event in self._events.feed(data) if data else ():
            if event and not self._take(event, out):
                return b"".join(out)
        if self._source.complete:
            self.end(())
            self.closing()
            self._let_go(out)
        if self._source.fault is not None:
            self.fault = self._source.fault
        return out[0] if len(out) == 1 else b"".join(out)

    def _take(self, event: bytes, out: list[bytes]) -> bool:
        """Take an event in, give out what is decided; returns whether the answer may go on."""
        data, document = read_event(event)
        entry = self._entry = _Entry(event, document)
        if document is not None:
            self._reader(document, self)
        elif data == DONE:
            self.end(())
            self.closing()
        elif data:
            text = data.decode(errors="replace")
            new = self._checker.text(text)
            if new != text:
                entry.event = with_data(event, new.encode(errors="replace"))
        self._queue.append(entry)
        return self._let_go(out)

    def _let_go(self, out: list[bytes]) -> bool:
        whole = self._whole
        error = self._checker.tally.error or self._repeats.tally.error
        if error is None and whole is not None:
            error = whole.tally.error
        if error is not None:
            self.refuse(error)
            return False
        queue = self._queue
        while queue and queue[0].ready:
            out.append(queue.popleft().settled(self._checker))
        return True

    def refuse(self, error: PenstockError) -> None:
        """End the answer here, as guards refuse it."""
        kind = str(error.details.get("type") or "")
        self.fault = Fault(error.message, kind, str(error.details.get("code") or error.code))
        self._queue.clear()
        self._streams.clear()

    # -- what a reader tells -------------------------------------------------------------------------------

    def text(self, key: Key, holder: Any, name: Any, kind: Kind) -> None:
        """Take a piece of a text in."""
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = self._stream(kind)
        segments = stream.feed(holder[name])
        self._entry.slots.append(Slot(holder, name, segments, quote=kind is Kind.SOURCE))

    def _stream(self, kind: Kind) -> Stream:
        if kind is Kind.SOURCE:
            return SourceStream(self._channel)
        return TextStream(self._channel())

    def _channel(self) -> Channel:
        return Channel(self._checker)

    def whole(
        self, value: Any, *, kind: Kind = Kind.TEXT, repeats: bool = False, but: Collection[str] = ()
    ) -> None:
        """Take in texts that come whole."""
        if isinstance(value, dict | list) and value:
            checker = self._repeats if repeats else self._checker
            self._entry.changed |= edit_tree(value, checker.text, kind=kind, but=but)

    def tool(self, name: str) -> None:
        """Let guards look at a tool's name before the call goes out."""
        if name in self._tools or not self._checker.program.documents:
            return
        self._tools.add(name)
        document = Document(calls=(ToolCall(name, ""),), messages=1)
        self._checker.document(document, self._checker.program.documents)

    def end(self, prefix: Key) -> None:
        """Decide the texts that are complete."""
        if not self._streams:
            return
        size = len(prefix)
        for key in [key for key in self._streams if key[:size] == prefix]:
            self._streams.pop(key).finish()

    def closing(self) -> None:
        """Let guards look at the shape of the whole answer."""
        documents = self._checker.program.documents
        if not documents:
            return
        body = self._source.output()
        checker = self._whole = self._checkers()
        checker.document(document_of(read(body), self._operation, len(body)), documents)
