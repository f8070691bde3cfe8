"""What a guard plug-in offers (entry-point group `penstock.guards`), and what guards need from outside.

A plug-in is a class made with its options and a `Setting`; raises Invalid for options it does not take. What it does is
told by what it has: `rules` (patterns: they work in streams, too), `watch` (texts in pieces), `inspect` (the shape of
a document), `judge` (a whole text), `ask` (a whole text, by a call to somewhere else).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from penstock.guardrails.model import About, Action, Document, Hit, Stage

TOOL_MARKERS = (b"tool", b"function", b"Tool", b"_call")
"""One of these is in every body, of any API family, that offers or calls a tool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Where a guard works."""

    stage: Stage
    action: Action
    allow_private: bool = False
    """Whether it may call private addresses."""
    secret: bytes = b""
    """A key of the tenant's, for canaries; the same in every process."""
    policy: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A pattern to look for."""

    name: str
    prefilter: str
    """RE2 expression that hits in or at everything that `exact` matches and `check` accepts: cheap, not precise."""
    exact: Any
    """What finds it: a compiled `re` (or RE2) pattern without back references."""
    check: Callable[[str], int] = len
    """Matched text → how many of its first characters are the find; 0 when it is none."""
    score: float = 1.0
    ignore_case: bool = False


class Reply(NamedTuple):
    """What a remote guard said; `text` replaces the one it was asked about when it modifies."""

    action: Action | None
    """None: allowed."""
    rule: str = ""
    score: float = 1.0
    text: str | None = None


class Transport(Protocol):
    """Carries a guard's HTTP call; checks the connected address against the SSRF guard."""

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float, allow_private: bool
    ) -> tuple[int, bytes]:
        """Return status and body; raises a PenstockError when there is no answer in `timeout` seconds."""
        ...


class Guard(Protocol):
    """What every guard has."""

    stages: ClassVar[tuple[Stage, ...]]
    """Where it can look; the first is the usual one."""
    actions: ClassVar[tuple[Action, ...]]
    """What it can do; the first is the usual one."""
    roles: frozenset[str]
    """Whose texts of a request it looks at; empty: all."""


@runtime_checkable
class PatternGuard(Protocol):
    """Looks for patterns."""

    rules: tuple[Rule, ...]
    threshold: float
    """0: every find counts. Else the finds of one text count once their combined score reaches it."""


@runtime_checkable
class DocumentGuard(Protocol):
    """Looks at the shape of a request or an answer."""

    markers: tuple[bytes, ...]
    """The guard is asked only when one of these bytes is in the body; empty: always."""
    above: int
    """... or when the body has more bytes than this; 0: whatever its size."""

    def inspect(self, document: Document, about: About) -> Sequence[Hit]:
        """Return what is wrong."""
        ...


@runtime_checkable
class TextGuard(Protocol):
    """Judges whole texts, so streams are held back until they end."""

    def judge(self, text: str, about: About) -> Sequence[Hit]:
        """Return what is wrong; finds with a place (start < end) can be masked."""
        ...


class Watch(Protocol):
    """Looks at one text as it comes."""

    def feed(self, piece: str) -> Sequence[Hit]:
        """Take the next piece in; returns what is wrong now."""
        ...

    def end(self) -> Sequence[Hit]:
        """Nothing more comes; returns what is wrong now."""
        ...


@runtime_checkable
class WatchGuard(Protocol):
    """Looks at texts in pieces, without holding them back; it can block and flag, not change."""

    def watch(self, about: About) -> Watch | None:
        """Return a watch for one text; None when there is nothing to look for."""
        ...


@runtime_checkable
class RemoteGuard(Protocol):
    """Judges whole texts somewhere else."""

    holds: bool
    """Whether a stream waits for its judgement of the whole text; else it is asked afterwards and can only flag."""

    async def ask(self, text: str, about: About, transport: Transport) -> Reply:
        """Return what it says; raises a PenstockError when it cannot be asked."""
        ...
