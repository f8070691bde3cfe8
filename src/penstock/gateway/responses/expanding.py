"""Request bodies whose conversation is kept here, made into bodies that say everything themselves."""

from collections.abc import Iterable, Mapping

import msgspec

from penstock.core.errors import Invalid
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.responses.model import Content, Fields, item_id

REFERENCE = b"item_reference"
ENCRYPTED = "reasoning.encrypted_content"
ANONYMOUS = ("", "message", "function_call")
"""Types of items whose id may be left out."""
_NOTHING = (b"null", b"[]")
_items = msgspec.json.Decoder(str | list[msgspec.Raw])
_texts = msgspec.json.Decoder(list[str] | None)
_encode = msgspec.json.encode


class _Kind(msgspec.Struct):
    type: str | None = None


class _Reasoning(msgspec.Struct):
    encrypted_content: str | None = None
    content: list[msgspec.Raw] | None = None


_fields = msgspec.json.Decoder(Fields)
_kind = msgspec.json.Decoder(_Kind)
_reasoning = msgspec.json.Decoder(_Reasoning)


def given_items(envelope: Envelope) -> list[msgspec.Raw]:
    """Return what a request's `input` holds as items; raises Invalid when it is neither text nor a list."""
    raw = envelope.fields.get("input")
    if raw is None or bytes(raw) == b"null":
        return []
    try:
        found = _items.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(
            "The field input must be text or a list of items.",
            details={"param": "input", "code": "invalid_value"},
        ) from error
    if isinstance(found, list):
        return found
    content = [{"type": "input_text", "text": found}]
    return [msgspec.Raw(_encode({"type": "message", "role": "user", "content": content}))]


def kind_of(item: msgspec.Raw) -> str:
    """Return the type of an item; empty when it names none."""
    try:
        return _kind.decode(item).type or ""
    except msgspec.DecodeError:
        return ""


def history(chain: Iterable[Content]) -> list[msgspec.Raw]:
    """Return the items of a conversation: each request's own, then its answer's. Instructions are not among them."""
    found: list[msgspec.Raw] = []
    for content in chain:
        found += content.input
        found += [item for item in content.output() if sendable(item)]
    return found


def sendable(item: msgspec.Raw) -> bool:
    """Whether an item of an answer means something to a provider that has not stored it.

    Reasoning of which nothing but its id (and a summary for people) is known does not: OpenAI refuses it.
    """
    if kind_of(item) != "reasoning":
        return True
    try:
        found = _reasoning.decode(item)
    except msgspec.DecodeError:
        return False
    return bool(found.encrypted_content) or bool(found.content)


def references(items: Iterable[msgspec.Raw]) -> list[str]:
    """Return the ids that `item_reference` items name; raises Invalid for one without an id."""
    found = []
    for place, item in enumerate(items):
        if kind_of(item) == REFERENCE.decode():
            name = item_id(item)
            if name is None:
                param = f"input[{place}].id"
                raise Invalid("An item_reference needs the id of an item.", details={"param": param})
            found.append(name)
    return found


def resolve(items: Iterable[msgspec.Raw], known: Mapping[str, msgspec.Raw | None]) -> list[msgspec.Raw]:
    """Return the items with each reference replaced by what it names (None: by nothing, it is there already)."""
    out = []
    for item in items:
        name = item_id(item) if kind_of(item) == REFERENCE.decode() else None
        found = item if name is None else known[name]
        if found is not None:
            out.append(found)
    return out


def distinct(items: Iterable[msgspec.Raw]) -> list[msgspec.Raw]:
    """Return the items, where an id comes again without it: an answer out of the cache may be given twice."""
    seen: set[str] = set()
    out = []
    for item in items:
        name = item_id(item)
        if name is not None and name in seen and kind_of(item) in ANONYMOUS:
            item = _without_id(item)
        elif name is not None:
            seen.add(name)
        out.append(item)
    return out


def _without_id(item: msgspec.Raw) -> msgspec.Raw:
    fields = _fields.decode(item)
    del fields["id"]
    return msgspec.Raw(_encode(fields))


def body_for(envelope: Envelope, items: list[msgspec.Raw] | None) -> bytes:
    """Return the body to send on: `items` as its input (None: as it is), nothing to be stored by the provider.

    What reasons is asked for its reasoning in a form that it can be given back, because it stores nothing.
    """
    fields = {name: raw for name, raw in envelope.fields.items() if name != "previous_response_id"}
    fields["store"] = msgspec.Raw(b"false")
    if items is not None:
        fields["input"] = msgspec.Raw(_encode(items))
    if bytes(fields.get("reasoning", b"null")) not in (b"null", b"{}"):
        fields["include"] = _with_reasoning(fields.get("include"))
    return _encode(fields)


def _with_reasoning(raw: msgspec.Raw | None) -> msgspec.Raw:
    if raw is None or bytes(raw) in _NOTHING:
        return msgspec.Raw(_encode([ENCRYPTED]))
    try:
        named = _texts.decode(raw) or []
    except msgspec.DecodeError:
        return raw  # the provider says what is wrong with it
    return raw if ENCRYPTED in named else msgspec.Raw(_encode([*named, ENCRYPTED]))
