"""Providers, targets and routes as calls use them: built off the hot path, immutable but for health and turns."""

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from penstock.core.scope import Scope
from penstock.gateway.model import Shadow
from penstock.gateway.ports import Provider as ProviderPlugin
from penstock.gateway.routing.breaker import Breaker
from penstock.gateway.routing.gate import Gate
from penstock.gateway.routing.health import Health
from penstock.gateway.routing.picker import Picker
from penstock.gateway.routing.shadow import ShadowState
from penstock.gateway.upstream.client import Transport
from penstock.gateway.upstream.request import Timeouts


class LiveProvider(NamedTuple):
    """A provider ready to be called."""

    name: str
    kind: str
    plugin: ProviderPlugin
    timeouts: Timeouts
    scope: Scope = Scope()
    """The project that owns it: a shared provider has one health for all."""
    gate: Gate | None = None
    trace_context: bool = True
    """Whether it is sent the call's W3C `traceparent`."""
    prepare: Callable[[Transport], Awaitable[None]] | None = None
    """What it does before every request, for instance to fetch an access token."""
    secrets: tuple[str, ...] = ()
    """What nobody may be told, even when the provider itself repeats it in an error."""


class LiveTarget(NamedTuple):
    """A target ready to be called."""

    provider: LiveProvider
    model: str
    label: str
    """`provider/model`, as a header value."""
    timeouts: Timeouts
    first_token: float
    """Seconds to the first event of a stream."""
    health: Health
    breaker: Breaker


class Branch(NamedTuple):
    """A nested route: a node that stands for several targets."""

    name: str
    picker: "Picker[Node]"

    def leaves(self) -> Iterator[LiveTarget]:
        """Yield every target below."""
        for node in self.picker.items:
            if isinstance(node, LiveTarget):
                yield node
            else:
                yield from node.leaves()


Node = LiveTarget | Branch


class Tree:
    """A picker over targets and nested routes that yields targets only. Only the branch that leads takes its turn."""

    __slots__ = ("_picker",)

    def __init__(self, picker: Picker[Node]) -> None:
        self._picker = picker

    @property
    def items(self) -> Sequence[LiveTarget]:
        """Every target, in the order given."""
        return tuple(Branch("", self._picker).leaves())

    def order(self, token: str = "") -> Sequence[LiveTarget]:
        """Return all targets, the leading branch's first."""
        return _flat(self._picker, token, leads=True)

    def peek(self, token: str = "") -> Sequence[LiveTarget]:
        """Return an order without counting it as a call."""
        return _flat(self._picker, token, leads=False)


def _flat(picker: Picker[Node], token: str, *, leads: bool) -> list[LiveTarget]:
    out: list[LiveTarget] = []
    for index, node in enumerate(picker.order(token) if leads else picker.peek(token)):
        if isinstance(node, LiveTarget):
            out.append(node)
        else:
            out += _flat(node.picker, token, leads=leads and index == 0)
    return out


class LiveArm(NamedTuple):
    """One side of an A/B test."""

    name: str
    picker: Picker[LiveTarget]


class LiveShadow(NamedTuple):
    """Where copies of calls go."""

    picker: Picker[LiveTarget] | None
    """None: where the call itself goes first."""
    limits: Shadow
    state: ShadowState
    arm: str = ""
    """The arm of a release that the copies are for."""
    members: Mapping[str, msgspec.Raw] = {}
    """What is set in the copies' requests."""
    version: int | None = None
    """Of the prompt that the copies are filled in with."""


@dataclass(frozen=True, slots=True)
class LiveRoute:
    """A route ready to be called; `attempts` bounds how often a call is tried."""

    name: str
    strategy: str
    picker: Picker[LiveTarget]
    attempts: int
    created: int = 0
    """Seconds since the epoch, for the list of models."""
    sticky_by: str = ""
    """user, session or key where who calls matters, else empty."""
    hedge_after: float | None = None
    """Seconds."""
    gate: Gate | None = None
    shadow: LiveShadow | None = None
    arms: Picker[LiveArm] | None = None
    priced: tuple[tuple[str, str], ...] = ()
    """(provider, model) of every target a call may go to, for estimating what it may cost."""
    members: Mapping[str, msgspec.Raw] = field(default_factory=dict)
    """What the route sets in every request."""
    split: "LiveSplit | None" = None
    """How a release divides its calls; None nearly always."""


class LiveSide(NamedTuple):
    """An arm of a release that gets calls."""

    name: str
    route: LiveRoute | None
    """In the place of the route; None goes on with what was asked for."""
    members: Mapping[str, msgspec.Raw]
    """What it sets in every request."""
    version: int | None
    """Of the prompt."""


class LiveSplit(NamedTuple):
    """How a release divides calls."""

    scope: Scope
    release: str
    phase: int
    sticky_by: str
    sides: Picker[LiveSide]
    copies: LiveShadow | None
    """The arm that gets copies instead of calls."""


class Placed(NamedTuple):
    """A call's place in a release."""

    split: LiveSplit
    name: str
    unit: str
    pair: str
