"""Who a call is for, as the caller says: the end user and the session."""

import msgspec

from penstock.gateway.dialects.envelope import Envelope

MAX_TEXT = 1000
"""Characters of such a name that are kept."""


class _Metadata(msgspec.Struct):
    user_id: str = ""


_metadata = msgspec.json.Decoder(_Metadata | None)


def header_text(headers: dict[bytes, bytes], name: bytes) -> str | None:
    """Return a header as text, or None."""
    value = headers.get(name)
    return value[:MAX_TEXT].decode("utf-8", "replace") if value else None


def user_of(headers: dict[bytes, bytes], envelope: Envelope | None) -> str | None:
    """Return the end user: the header's, else the body's as OpenAI's (`user`) or Anthropic's callers name it."""
    named = header_text(headers, b"x-penstock-user")
    if named is not None or envelope is None:
        return named
    return (envelope.text("user") or _user_of_messages(envelope))[:MAX_TEXT] or None


def _user_of_messages(envelope: Envelope) -> str:
    raw = envelope.fields.get("metadata")
    if raw is None:
        return ""
    try:
        found = _metadata.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
    return found.user_id if found is not None else ""
