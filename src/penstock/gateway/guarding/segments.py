"""Pieces of a stream's texts: which characters of which channel they are, and what is sent in their place."""

import re
from collections.abc import Callable
from typing import Any, Protocol

from penstock.gateway.guarding.sources import ATOM, plain, quoted
from penstock.guardrails.channel import Channel
from penstock.guardrails.checking import Checker

_run = re.compile(r'[^"\\]+')


class Segment:
    """Characters `start` to `end` of a channel's text; their source differs where they were escaped."""

    __slots__ = ("channel", "end", "source", "start")

    def __init__(self, channel: Channel | None, start: int, end: int, source: str) -> None:
        """Without a channel the source is sent as it is."""
        self.channel = channel
        self.start = start
        self.end = end
        self.source = source

    @property
    def ready(self) -> bool:
        """Whether everything found in it is known."""
        return self.channel is None or self.channel.safe >= self.end

    def rendered(self, checker: Checker, *, quote: bool) -> str:
        """Return what is sent; takes edits that end here out of the channel, so call it in order and once."""
        channel = self.channel
        if channel is None or not channel.edits or channel.edits[0][0] >= self.end:
            return self.source
        parts: list[str] = []
        position, done = self.start, 0
        for start, end, original, edit in channel.edits:
            if start >= self.end:
                break
            if start >= self.start:
                parts.append(self._kept(position, start))
                new = checker.instead(edit, original)
                parts.append(quoted(new) if quote else new)
            position = max(position, min(end, self.end))
            done += end <= self.end
        del channel.edits[:done]
        parts.append(self._kept(position, self.end))
        return "".join(parts)

    def _kept(self, start: int, end: int) -> str:
        if len(self.source) == self.end - self.start:
            return self.source[start - self.start : end - self.start]
        return self.source if end > start else ""  # an escape: all of it or nothing


class Stream(Protocol):
    """One text that comes in pieces."""

    def feed(self, piece: str) -> list[Segment]:
        """Take the next piece in; returns what stands for it."""
        ...

    def finish(self) -> None:
        """Nothing more comes: everything is decided."""
        ...


class TextStream:
    """A text as it is."""

    __slots__ = ("_channel",)

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def feed(self, piece: str) -> list[Segment]:
        """Take the next piece in."""
        channel = self._channel
        start = channel.total
        channel.feed(piece)
        return [Segment(channel, start, channel.total, piece)]

    def finish(self) -> None:
        """Decide what is left."""
        self._channel.finish()


class _Waiting(Segment):
    """The beginning of an escape, until the rest of it comes."""

    __slots__ = ("waits",)

    def __init__(self, source: str) -> None:
        super().__init__(None, 0, 0, source)
        self.waits = True

    @property
    def ready(self) -> bool:
        """Whether it is known what it is."""
        return not self.waits and super().ready


class SourceStream:
    """JSON source: a channel for each of its strings."""

    __slots__ = ("_channel", "_new", "_waiting")

    def __init__(self, new: Callable[[], Channel]) -> None:
        """`new` makes a channel."""
        self._new = new
        self._channel: Channel | None = None
        self._waiting: _Waiting | None = None

    def feed(self, piece: str) -> list[Segment]:
        """Take the next piece in; what completes an escape goes to where that began."""
        at = 0
        if self._waiting is not None:
            piece = self._waiting.source + piece
            atom = _atom(piece, 0)
            if atom is None:
                self._waiting.source = piece
                return []
            self._fill(self._waiting, atom)
            self._waiting, at = None, len(atom)
        found: list[Segment] = []
        while at < len(piece):
            at = self._outside(piece, at, found) if self._channel is None else self._inside(piece, at, found)
        return found

    def _outside(self, piece: str, at: int, found: list[Segment]) -> int:
        end = piece.find('"', at) + 1
        if end:
            self._channel = self._new()
        found.append(Segment(None, 0, 0, piece[at : end or len(piece)]))
        return end or len(piece)

    def _inside(self, piece: str, at: int, found: list[Segment]) -> int:
        channel = self._channel
        assert channel is not None
        if (run := _run.match(piece, at)) is not None:
            start = channel.total
            channel.feed(run[0])
            found.append(Segment(channel, start, channel.total, run[0]))
            return run.end()
        if piece[at] == '"':
            channel.finish()
            self._channel = None
            found.append(Segment(None, 0, 0, '"'))
            return at + 1
        atom = _atom(piece, at)
        segment = _Waiting(piece[at:] if atom is None else atom)
        found.append(segment)
        if atom is None:
            self._waiting = segment
            return len(piece)
        self._fill(segment, atom)
        return at + len(atom)

    def _fill(self, segment: _Waiting, atom: str) -> None:
        channel = self._channel
        assert channel is not None
        segment.channel, segment.source, segment.start = channel, atom, channel.total
        channel.feed(plain(atom))
        segment.end = channel.total
        segment.waits = False

    def finish(self) -> None:
        """Decide what is left."""
        if self._waiting is not None:
            self._waiting.waits = False
            self._waiting = None
        if self._channel is not None:
            self._channel.finish()
            self._channel = None


_HIGH = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?\Z")
_BEGUN = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z")


def _atom(piece: str, at: int) -> str | None:
    """Return the escape at a place; None while it may go on in the next piece."""
    if _BEGUN.match(piece, at) or _HIGH.match(piece, at):
        return None
    found = ATOM.match(piece, at)
    assert found is not None
    return found[0]


class Slot:
    """A string of an event and the segments that stand for it."""

    __slots__ = ("holder", "name", "quote", "segments")

    def __init__(self, holder: Any, name: Any, segments: list[Segment], *, quote: bool) -> None:
        self.holder = holder
        self.name = name
        self.segments = segments
        self.quote = quote
        """Whether it is JSON source, so that replacements are escaped."""

    def settle(self, checker: Checker) -> bool:
        """Put into the event what is sent; returns whether that differs from what came."""
        new = "".join([segment.rendered(checker, quote=self.quote) for segment in self.segments])
        if new == self.holder[self.name]:
            return False
        self.holder[self.name] = new
        return True
