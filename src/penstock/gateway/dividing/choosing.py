"""Which arm a call belongs to."""

import hashlib
from collections.abc import Mapping

import msgspec

from penstock.gateway.asking import header_text
from penstock.gateway.call import Call
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.routing.live import LiveRoute, LiveSide, LiveSplit, Placed


def place(call: Call, split: LiveSplit) -> LiveSide:
    """Return the arm of `call`, and note it on the call and its trace."""
    name = _name(call, split.sticky_by)
    side = split.sides.order(name or call.trace_id)[0]
    # Calls of one trace share their fate, so that they count as one; a call that begins its trace is the only one.
    unit = name or (call.trace_id if call.parent_id is not None else "")
    call.arm = Placed(
        split, side.name, _hidden(split, unit), call.span_id if split.copies is not None else ""
    )
    call.notes["arm"] = side.name
    call.notes["release"] = split.release
    return side


def _name(call: Call, by: str) -> str:
    found: str | None = None
    if by == "user":
        found = call.user
    elif by == "session":
        found = header_text(call.headers, b"x-penstock-session")
    elif by == "key":
        found = call.caller.key_id if call.caller is not None else None
    return f"{by}:{found}" if found else ""


def _hidden(split: LiveSplit, unit: str) -> str:
    """Return a name as a number that says nothing about who it is outside this release."""
    if not unit:
        return ""
    return hashlib.blake2b(f"{split.release}\0{unit}".encode("utf-8", "replace"), digest_size=12).hexdigest()


def enter(call: Call, route: LiveRoute, split: LiveSplit, envelope: Envelope) -> tuple[LiveRoute, Envelope]:
    """Return the route and the request of a call to a route that a release divides."""
    side = place(call, split)
    return side.route or route, with_members(call, envelope, side.members)


def with_members(call: Call, envelope: Envelope, members: Mapping[str, msgspec.Raw]) -> Envelope:
    """Return the request with some members set, as the call's own from now on."""
    if not members:
        return envelope
    made = Envelope(envelope.with_fields(dict(members)), model=envelope.model, stream=envelope.stream)
    call.envelope = made
    return made
