"""Requests of every API family as guardrails see them: their texts, what is offered and called in them."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from penstock.core.errors import Invalid
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.guarding.leaves import Leaf, descriptions, leaves
from penstock.gateway.guarding.plain import decoded
from penstock.gateway.model import Operation
from penstock.guardrails.model import Document, Piece, ToolCall

_MESSAGES = {"system": "system", "messages": "user", "tools": "", "output_config": ""}
_GENERATE = {
    "systemInstruction": "system", "system_instruction": "system", "contents": "user", "tools": "",
    "generateContentRequest": "user", "generate_content_request": "user", "generationConfig": "",
}  # fmt: skip
_EMBED_CONTENT = {"content": "user", "title": "user"}
MEMBERS: Mapping[Operation, Mapping[str, str]] = {
    Operation.CHAT: {
        "messages": "user", "tools": "", "functions": "", "prediction": "assistant", "response_format": "",
    },
    Operation.COMPLETIONS: {"prompt": "user", "suffix": "user"},
    Operation.RESPONSES: {"instructions": "system", "input": "user", "prompt": "user", "tools": "", "text": ""},
    Operation.MESSAGES: _MESSAGES,
    Operation.COUNT_TOKENS: _MESSAGES,
    Operation.GENERATE: _GENERATE,
    Operation.GEMINI_COUNT: _GENERATE,
    Operation.EMBEDDINGS: {"input": "user"},
    Operation.EMBED_CONTENT: _EMBED_CONTENT,
    Operation.BATCH_EMBED: {"requests": "user"},
    Operation.MODERATIONS: {"input": "user"},
}  # fmt: skip
"""The members that carry text, and who speaks in them; nobody where only descriptions are text."""
_IDS = frozenset({Operation.COMPLETIONS, Operation.EMBEDDINGS})
_encode = msgspec.json.Encoder().encode
REFUSED = msgspec.Raw(b'"[REFUSED]"')
"""Stands in traces for what a refused request said."""


class Reading:
    """The parts of one request that carry text, decoded. Its texts may be edited in place."""

    __slots__ = ("_envelope", "_operation", "parts")

    def __init__(self, envelope: Envelope, operation: Operation) -> None:
        """Decode those parts and no others; raises Invalid when one is not JSON."""
        self._envelope = envelope
        self._operation = operation
        names = MEMBERS.get(operation, {})
        fields = envelope.fields
        self.parts: dict[str, Any] = {name: decoded(bytes(fields[name])) for name in names if name in fields}

    def leaves(self) -> Iterator[Leaf]:
        """Return the texts in order."""
        roles = MEMBERS[self._operation]
        for name, part in self.parts.items():
            if isinstance(part, str):
                yield Leaf(self.parts, name, _TEXT, roles[name] or "system", (name,))
            elif roles[name] == "system":
                # Whatever role is written in it: google-genai puts `user` into system instructions.
                yield from (leaf._replace(role="system") for leaf in leaves(part))
            elif roles[name]:
                yield from leaves(part, role=roles[name])
            else:
                yield from descriptions(part)

    def envelope(self) -> Envelope:
        """Return the request with its texts as they are now; all other members keep their bytes and places."""
        changes = {name: msgspec.Raw(_encode(part)) for name, part in self.parts.items()}
        return rebuilt(self._envelope, changes)

    def document(self) -> Document:
        """Return it free of its API family."""
        pieces = tuple(Piece(leaf.text, leaf.role) for leaf in self.leaves())
        spoken = [part for name, part in self.parts.items() if MEMBERS[self._operation][name]]
        lists = [self.parts.get(name) for name in ("messages", "input", "contents")]
        return Document(
            pieces=pieces,
            offered=tuple(_offered([self.parts.get("tools"), self.parts.get("functions")])),
            calls=tuple(tool_calls(spoken)),
            messages=sum(len(each) for each in lists if isinstance(each, list)),
            size=len(self._envelope.body),
        )

    def system(self) -> tuple[str, ...]:
        """Return the system prompts."""
        roles = MEMBERS[self._operation]
        return tuple(
            leaf.text
            for leaf in self.leaves()
            if leaf.role == "system" and roles.get(str(leaf.path[0])) != ""
        )


_TEXT = next(leaves({"text": ""})).kind


def rebuilt(envelope: Envelope, changes: dict[str, msgspec.Raw]) -> Envelope:
    """Return the envelope with some members replaced."""
    return Envelope(envelope.with_fields(changes), model=envelope.model, stream=envelope.stream)


def without_texts(envelope: Envelope, operation: Operation) -> Envelope:
    """Return the envelope with nothing in it of what was said."""
    return rebuilt(
        envelope, {name: REFUSED for name in MEMBERS.get(operation, {}) if name in envelope.fields}
    )


def has_token_ids(envelope: Envelope, operation: Operation) -> bool:
    """Whether texts come as numbers of tokens, which no guard can read."""
    if operation not in _IDS:
        return False
    raw = envelope.fields.get("prompt" if operation is Operation.COMPLETIONS else "input")
    if raw is None or bytes(raw)[:1] != b"[":
        return False
    given = decoded(bytes(raw))
    return any(not isinstance(each, str) for each in given)


def refuse_token_ids(guard: str) -> Invalid:
    """Return the error that token ids cannot be guarded."""
    return Invalid(
        f"The guardrail {guard!r} cannot read token ids.",
        hint="Send text.",
        details={"code": "content_filter", "type": "invalid_request_error"},
    )


def _offered(value: Any) -> Iterator[str]:
    """Return the names of offered tools; tools that the provider runs itself are named by their type."""
    if isinstance(value, list):
        for each in value:
            yield from _offered(each)
    elif isinstance(value, dict):
        declared = value.get("functionDeclarations", value.get("function_declarations"))
        inner = value.get("function", value.get("custom"))
        holder = inner if isinstance(inner, dict) else value
        name = holder.get("name") or holder.get("server_label") or holder.get("type")
        if isinstance(name, str):
            yield name
        elif declared is None:
            yield from (key for key in value if isinstance(key, str))  # Gemini's own: {"googleSearch": {}}
        if declared is not None:
            yield from _offered(declared)


def tool_calls(value: Any, *, called: bool = False) -> Iterator[ToolCall]:
    """Return the tool calls below a decoded value of any family, in order."""
    if isinstance(value, list):
        for each in value:
            yield from tool_calls(each)
    elif isinstance(value, dict):
        name = value.get("name")
        given = next((value[key] for key in ("arguments", "args", "input") if key in value), None)
        if isinstance(name, str) and (called or given is not None):
            source = given if isinstance(given, str) else _encode(given or {}).decode()
            yield ToolCall(name, source)
            return
        for key, inner in value.items():
            if isinstance(inner, dict | list):
                yield from tool_calls(inner, called=key in ("functionCall", "function_call"))
