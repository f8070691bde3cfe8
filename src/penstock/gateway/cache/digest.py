"""Which requests are the same: a digest over what decides about the answer, and nothing else.

Members of the body count in any order and with any white space; `stream`, `user`, `metadata` and the like do not
count. Bodies above 64 KB are compared member by member as they were sent: there, other white space or another
order inside a member makes another request.
"""

import re
from hashlib import sha256
from typing import Any

import msgspec

from penstock.core.scope import Scope
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.model import Operation

IGNORED = frozenset(
    {
        "stream", "stream_options", "user", "metadata", "safety_identifier", "prompt_cache_key",
        "prompt_cache_retention", "service_tier", "labels",
    }
)  # fmt: skip
"""Members of a body that do not change what is answered."""
STATEFUL = frozenset({"previous_response_id", "conversation", "background"})
"""Members by which an answer depends on, or changes, something outside of the request."""
HEADERS = (b"anthropic-beta", b"openai-beta")
"""Request headers that change what is answered."""
MAX_SORTED = 64 * 1024
PIECE = 2047
"""Bytes hashed at once: for more, hashlib lets other threads run first, which costs more than the hashing."""
MAX_TEXT = 16_000
"""Characters; longer texts are compared exactly only: in them too small a share would have to differ."""

_decode = msgspec.json.Decoder().decode
_sorted = msgspec.json.Encoder(order="sorted").encode
_plain = msgspec.json.Encoder().encode
_UNREADABLE = (msgspec.MsgspecError, RecursionError, UnicodeError, OverflowError, ValueError)
_FACTS = re.compile(
    r"\d+(?:[.,:/]\d+)*|\b(?:no|not|never|none|without|except|nicht|kein\w*|nie|ohne|pas|sans|jamais|sin|nunca)\b"
    r"|\w+n['’]t\b",
    re.IGNORECASE,
)
_LISTS = {
    Operation.CHAT: "messages",
    Operation.MESSAGES: "messages",
    Operation.RESPONSES: "input",
    Operation.GENERATE: "contents",
    Operation.COMPLETIONS: "prompt",
}


def who(scope: Scope, route: str, key_id: str | None, variant: str = "") -> bytes:
    """Return the part of a digest that keeps tenants, projects, routes, keys (unless None) and variants apart."""
    return _plain((scope.tenant, scope.project, route, key_id, variant))


def digest(whose: bytes, operation: Operation, headers: dict[bytes, bytes], envelope: Envelope) -> bytes:
    """Return 32 bytes that are the same for the same request only (SHA-256)."""
    found = sha256(whose)
    found.update(b"\0%b\0%b\0" % (operation.encode(), envelope.model.encode("utf-8", "surrogatepass")))
    for name in HEADERS:
        if (value := headers.get(name)) is not None:
            found.update(b"%b:%b\0" % (name, value))
    body = memoryview(_canonical(envelope))
    for at in range(0, len(body), PIECE):
        found.update(body[at : at + PIECE])
    return found.digest()


def _canonical(envelope: Envelope) -> bytes:
    if len(envelope.body) <= MAX_SORTED:
        try:
            members = _decode(envelope.body)
            for name in IGNORED & members.keys():
                del members[name]
            return _sorted(members)
        except _UNREADABLE:
            pass  # numbers this process cannot hold: the bytes as they came will do
    return _sorted({name: raw for name, raw in envelope.fields.items() if name not in IGNORED})


def is_stateful(envelope: Envelope) -> bool:
    """Whether the answer cannot be told from the request alone."""
    fields = envelope.fields
    if STATEFUL.isdisjoint(fields):
        return False
    return any(
        name in fields and bytes(fields[name]) not in (b"null", b"false") for name in STATEFUL & fields.keys()
    )


def meaning(
    whose: bytes, operation: Operation, headers: dict[bytes, bytes], envelope: Envelope
) -> tuple[str, bytes] | None:
    """Return the last user text, and a digest of everything else; None when the request does not end in one.

    Numbers and negations of the text belong to everything else: texts that differ in these never mean the same.
    """
    name = _LISTS.get(operation)
    raw = envelope.fields.get(name) if name is not None else None
    if name is None or raw is None:
        return None
    try:
        given = _decode(raw)
    except _UNREADABLE:
        return None
    found = _last_text(given)
    if found is None:
        return None
    text, rest = found
    if not text.strip() or len(text) > MAX_TEXT:
        return None
    facts = [fact.lower() for fact in _FACTS.findall(text)]
    other = _Other(envelope, name, _plain([rest, facts]))
    return text, digest(b"meaning\0" + whose, operation, headers, other)


class _Other(Envelope):
    """An envelope with one member replaced."""

    __slots__ = ()

    def __init__(self, envelope: Envelope, name: str, raw: bytes) -> None:
        self.fields = envelope.fields | {name: msgspec.Raw(raw)}
        self.body, self.model = _plain(self.fields), envelope.model
        self.stream, self.include_usage = envelope.stream, envelope.include_usage


def _last_text(given: Any) -> tuple[str, Any] | None:
    """Return the text of the last user message, and `given` without it."""
    if isinstance(given, str):
        return given, None
    if not isinstance(given, list) or not given or not isinstance(given[-1], dict):
        return None
    last = given[-1]
    if last.get("role", "user") != "user" or last.get("type", "message") != "message":
        return None
    member = "parts" if "parts" in last else "content"
    text = _text(last.get(member))
    return None if text is None else (text, [*given[:-1], {**last, member: None}])


def _text(content: Any) -> str | None:
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        return None
    texts = []
    for part in content:
        if (
            not isinstance(part, dict)
            or not isinstance(part.get("text"), str)
            or not part.keys() <= {"type", "text"}
        ):
            return None
        texts.append(part["text"])
    return "\n".join(texts)
