"""A whole stream that was held back: its texts judged as wholes, and written again where they changed."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any

from penstock.gateway.dialects.sse import EventBuffer
from penstock.gateway.guarding.answers import forget_tokens
from penstock.gateway.guarding.events import READERS, Key
from penstock.gateway.guarding.leaves import Kind, leaves
from penstock.gateway.guarding.wire import read_event, written_event
from penstock.gateway.model import Operation

Judge = Callable[[str, Kind], Awaitable[str]]
"""Returns what becomes of a whole text."""


class _Gathered:
    """A flow that puts texts together, and the places where their pieces stand."""

    def __init__(self) -> None:
        self.texts: dict[Key, tuple[Kind, list[tuple[int, Any, Any]]]] = {}
        self.wholes: list[tuple[int, Any, Any, Kind]] = []
        self.at = 0
        self._run = 0
        self._runs: dict[Key, int] = {}

    def text(self, key: Key, holder: Any, name: Any, kind: Kind) -> None:
        run = self._runs.setdefault(key, self._run)
        self.texts.setdefault((*key, run), (kind, []))[1].append((self.at, holder, name))

    def whole(
        self, value: Any, *, kind: Kind = Kind.TEXT, repeats: bool = False, but: Collection[str] = ()
    ) -> None:
        del repeats
        for leaf in leaves(value, kind=kind) if isinstance(value, dict | list) else ():
            if leaf.path[0] not in but:
                self.wholes.append((self.at, leaf.holder, leaf.name, leaf.kind))

    def tool(self, name: str) -> None:
        """Tools were looked at when they came."""

    def end(self, prefix: Key) -> None:
        self._run += 1
        for key in [key for key in self._runs if key[: len(prefix)] == prefix]:
            del self._runs[key]

    def closing(self) -> None:
        """The shape was looked at when it was known."""


async def judged(stream: bytes, operation: Operation, judge: Judge) -> tuple[bytes, Mapping[str, str]]:
    """Return the stream with each of its texts as `judge` leaves it, and which text became which."""
    events = [event for event in EventBuffer().feed(stream) if event]
    documents = [read_event(event)[1] for event in events]
    flow = _Gathered()
    for flow.at, document in enumerate(documents):
        if document is not None:
            READERS[operation](document, flow)
    found: dict[str, Kind] = {}
    for kind, places in flow.texts.values():
        found.setdefault("".join(holder[name] for _, holder, name in places), kind)
    for _, holder, name, kind in flow.wholes:
        found.setdefault(holder[name], kind)
    became = {text: new for text, kind in found.items() if text and (new := await judge(text, kind)) != text}
    if not became:
        return stream, {}
    changed = _rewrite(flow, became)
    for at in changed:
        forget_tokens(documents[at])
        events[at] = written_event(events[at], documents[at])
    return b"".join(event + b"\n\n" for event in events), became


def _rewrite(flow: _Gathered, became: Mapping[str, str]) -> set[int]:
    """Put changed texts in their places: a streamed one into its first piece. Returns the events that changed."""
    changed: set[int] = set()
    for _, places in flow.texts.values():
        new = became.get("".join(holder[name] for _, holder, name in places))
        if new is not None:
            for at, holder, name in places:
                holder[name], new = new, ""
                changed.add(at)
    for at, holder, name, _ in flow.wholes:
        new = became.get(holder[name])
        if new is not None:
            holder[name] = new
            changed.add(at)
    return changed
