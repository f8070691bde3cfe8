"""Taking out of spans what must not be stored: by detectors, patterns and keys."""

import hashlib
import hmac
import re
from collections.abc import Callable, Sequence
from fnmatch import translate
from typing import Any

import msgspec

from penstock.core import plugins
from penstock.traces import dialects, documents
from penstock.traces.log_model import LogContent
from penstock.traces.model import Evaluation, SpanEvent, SpanRecord
from penstock.traces.otlp_logs import OtlpLog
from penstock.traces.policy import KeyAction, Masking, compile_pattern
from penstock.traces.ports import Masker

MASKED = "[MASKED]"
_HASH = "hash:"
_MAX_DEPTH = 200
_DROPPED = object()
_LABELS = ("error", "user", "session", "agent", "tool")
_SAYING = {
    "input": frozenset({*dialects.MESSAGE_EVENTS, dialects.DETAIL_EVENT}),
    "output": frozenset({dialects.CHOICE_EVENT, dialects.DETAIL_EVENT}),
}
"""Which log events become a span's input and output (see `log_join`)."""


class PatternMasker:
    """Replaces what an RE2 expression matches."""

    def __init__(self, name: str, pattern: str, replacement: str | None) -> None:
        self._pattern = compile_pattern(pattern)
        self._replacement = f"[{name.upper()}]" if replacement is None else replacement

    def mask(self, text: str) -> str:
        """Return `text` with every match replaced."""
        if self._pattern.search(text) is None:
            return text
        # A function: what the replacement says is taken literally, backslashes too.
        return str(self._pattern.sub(lambda _: self._replacement, text))


class SpanMasker:
    """Carries out one project's masking; immutable, shared by threads.

    Keys are asked first, then detectors, then patterns. Every text of a span is looked at: name, error, user, session,
    tags, metadata, attributes, events, and every string inside input and output.
    """

    def __init__(self, masking: Masking, secret: bytes) -> None:
        """`secret` keys the hashes: the same value has the same hash all over the installation."""
        self._secret = secret
        self._maskers: list[Masker] = [
            plugins.load("maskers", name)(options) for name, options in masking.detectors.items()
        ]
        self._maskers += [PatternMasker(p.name, p.pattern, p.replacement) for p in masking.patterns]
        self._rules: Sequence[tuple[Callable[[str], Any], KeyAction]] = [
            (re.compile(translate(rule.key.lower())).match, rule.action) for rule in masking.keys
        ]
        self._known: dict[str, KeyAction | None] = {}

    def apply(self, span: SpanRecord) -> SpanRecord:
        """Return `span` without what must not be stored; `span` itself when there was nothing."""
        changed = {name: value for name, value in self._fields(span) if value != getattr(span, name)}
        return msgspec.structs.replace(span, **changed) if changed else span

    def apply_log(self, record: OtlpLog) -> OtlpLog:
        """Return a log record without what must not be stored."""
        made = self.apply_content(
            record.event,
            LogContent(
                body=record.body,
                attributes=record.attributes,
                resource=dict(record.resource),
                scope=dict(record.scope),
            ),
        )
        return msgspec.structs.replace(
            record, body=made.body, attributes=made.attributes, resource=made.resource, scope=made.scope
        )

    def apply_content(self, event: str | None, content: LogContent) -> LogContent:
        """Return what a record says without what must not be stored.

        A rule for the key `input` or `output` empties the events that would give a span its input or output.
        """
        said = [name for name, events in _SAYING.items() if event in events]
        if any(self._action(name) is not None for name in said):
            return LogContent(resource=content.resource, scope=content.scope)
        return LogContent(
            body=self._value(content.body, 0),
            attributes=self._object(content.attributes, 0),
            resource=self._object(content.resource, 0),
            scope=self._object(content.scope, 0),
        )

    def _fields(self, span: SpanRecord) -> list[tuple[str, Any]]:
        return [
            ("name", self._text(span.name)),
            *((name, self._label(name, getattr(span, name))) for name in _LABELS),
            ("tags", self._tags(span.tags)),
            ("metadata", self._object(span.metadata, 0)),
            ("input", self._document("input", span.input)),
            ("output", self._document("output", span.output)),
            ("attributes", self._object(span.attributes, 0)),
            ("parameters", self._object(span.parameters, 0)),
            ("tools", self._value(span.tools, 0)),
            ("evaluations", tuple(self._verdict(verdict) for verdict in span.evaluations)),
            ("events", tuple(self._event(event) for event in span.events)),
        ]

    def _action(self, key: str) -> KeyAction | None:
        if not self._rules:
            return None
        found = self._known.get(key, "")
        if found == "":
            lowered = key.lower()
            found = next((action for match, action in self._rules if match(lowered)), None)
            if len(self._known) < 10_000:
                self._known[key] = found
        return found  # type: ignore[return-value]  # "" was replaced above

    def _text(self, text: str) -> str:
        for masker in self._maskers:
            text = masker.mask(text)
        return text

    def _label(self, name: str, value: str | None) -> str | None:
        if not value:
            return value
        action = self._action(name)
        if action is not None:
            taken = self._taken(action, value)
            return None if taken is _DROPPED else str(taken)
        return self._text(value)

    def _tags(self, tags: tuple[str, ...]) -> tuple[str, ...]:
        action = self._action("tags")
        if action == "drop":
            return ()
        return tuple(self._text(tag) if action is None else str(self._taken(action, tag)) for tag in tags)

    def _event(self, event: SpanEvent) -> SpanEvent:
        return SpanEvent(
            name=self._text(event.name), at_ns=event.at_ns, attributes=self._object(event.attributes, 0)
        )

    def _verdict(self, verdict: Evaluation) -> Evaluation:
        return msgspec.structs.replace(
            verdict,
            label=self._label("label", verdict.label),
            explanation=self._label("explanation", verdict.explanation),
        )

    def _document(self, name: str, document: bytes | None) -> bytes | None:
        if document is None:
            return None
        action = self._action(name)
        if action is not None:
            taken = self._taken(action, document.decode("utf-8", "replace"))
            return None if taken is _DROPPED else documents.encode(taken)
        try:
            value = msgspec.json.decode(document)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return self._text(document.decode("utf-8", "replace")).encode()
        masked = self._value(value, 0)
        return document if masked == value else documents.encode(masked)

    def _object(self, given: dict[str, Any], depth: int) -> dict[str, Any]:
        made = {}
        for key, value in given.items():
            action = self._action(key)
            if action is None:
                made[self._text(key)] = self._value(value, depth + 1)
            elif (taken := self._taken(action, value)) is not _DROPPED:
                made[key] = taken
        return made

    def _value(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if depth > _MAX_DEPTH:
            return MASKED  # what is nested deeper than anybody looks is not stored unseen
        if isinstance(value, dict):
            return self._object(value, depth)
        if isinstance(value, list | tuple):
            return [self._value(item, depth + 1) for item in value]
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 999_999:
            text = str(value)  # card and account numbers come as numbers too
            masked = self._text(text)
            return value if masked == text else masked
        return value

    def _taken(self, action: KeyAction, value: Any) -> Any:
        if action == "drop":
            return _DROPPED
        return MASKED if action == "mask" else self.hashed(value)

    def hashed(self, value: Any) -> str:
        """Return what stands for `value` under the action `hash`: `hash:` and 16 hex digits of HMAC-SHA-256."""
        text = value if isinstance(value, str) else documents.encode(value).decode()
        return text if is_hash(text) else hash_of(self._secret, text)


def hash_of(secret: bytes, text: str) -> str:
    """Return the keyed hash that stands for `text`."""
    return _HASH + hmac.new(secret, text.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:16]


def is_hash(text: str) -> bool:
    """Return whether `text` is such a hash already: a span that is sent again is not hashed twice."""
    digits = text[len(_HASH) :]
    return text.startswith(_HASH) and len(digits) == 16 and all(c in "0123456789abcdef" for c in digits)
