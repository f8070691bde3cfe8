"""Words as they stand in a span: told exactly, and shown in their place."""

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

from penstock.traces import words
from penstock.traces.model import Snippet, SpanRecord
from penstock.traces.query.nodes import Words
from penstock.traces.store.looking import Said

_BEFORE, _CHARS, _MARKS = 50, 160, 20
Place: TypeAlias = Literal["name", "error", "input", "output"]
_FIELDS: tuple[Place, ...] = ("output", "input", "error", "name")


class Spoken:
    """One condition on words, ready to be tried on spans."""

    def __init__(self, item: Words) -> None:
        self.item = item
        self.words = words.split(item.text)
        self._fields: tuple[Place, ...] = _FIELDS if item.where == "text" else (item.where,)
        parts = [re.escape(word) for word in self.words]
        wholes = [
            part + (r"[^\W_]*" if item.prefix and part is parts[-1] else r"(?![^\W_])") for part in parts
        ]
        if item.phrase:
            wholes = [r"[\W_]+".join(parts) + r"(?![^\W_])"]
        # Without IGNORECASE: what is looked through was folded, as the index folds it.
        self._each = [re.compile(rf"(?<![^\W_]){whole}") for whole in wholes]
        self.shown = re.compile(rf"(?<![^\W_])(?:{'|'.join(wholes)})", re.IGNORECASE)
        """What is marked in a text as it was written."""
        folded = [word.encode("utf-8", "replace") for word in self.words]
        rough = [_phrase(folded)] if item.phrase else [re.escape(word) for word in folded]
        self._rough = [re.compile(one) for one in rough]

    def occurs(self, span: Said) -> bool:
        """Whether the words are in the span as they are asked for, in one of the fields if they are a phrase."""
        raw = _folded(b'"'.join([_document(span, field) for field in self._fields]))
        if raw is not None and not all(one.search(raw) for one in self._rough):
            return False
        texts = [self._text(span, field) for field in self._fields if self._may(span, field)]
        if self.item.phrase:
            return any(self._each[0].search(text) for text in texts)
        return all(any(one.search(text) for text in texts) for one in self._each)

    def _may(self, span: Said, field: Place) -> bool:
        """Whether the field is worth decoding: what stands in a text stands in its document too."""
        raw = _folded(_document(span, field))
        return raw is None or any(one.search(raw) for one in self._rough)

    def _text(self, span: Said, field: Place) -> str:
        return said(span, field).casefold()

    def snippet(self, span: SpanRecord, all_: Sequence["Spoken"]) -> Snippet | None:
        """Return the first place in the span where one of the words stands, with what `all_` look for marked."""
        for field in self._fields:
            if self._may(span, field):
                text = said(span, field)
                if (found := self.shown.search(text)) is not None:
                    return _around(span.span_id, field, text, found.start(), all_)
        return None


def _document(span: Said, field: Place) -> bytes:
    """Return what a field's text is taken from."""
    if field == "input" or field == "output":
        return (span.input if field == "input" else span.output) or b""
    return (span.name if field == "name" else span.error or "").encode("utf-8", "replace")


def _folded(document: bytes) -> bytes | None:
    """Return a JSON document as its words are compared; None where letters are written as escapes."""
    if b"\\u" in document:
        return None
    if document.isascii():
        return document.lower()
    return document.decode("utf-8", "replace").casefold().encode("utf-8", "replace")


_BETWEEN = rb'[^a-z0-9"\\\x80-\xff]*'
"""What surely parts two words within one text of a document."""
_UNSURE = rb'["\\\x80-\xff]'
"""Where a text ends, an escape begins or a letter may stand: only the decoded texts tell."""


def _phrase(folded: Sequence[bytes]) -> bytes:
    """Return a pattern that finds something in every folded document with these words one after the other."""
    pattern = re.escape(folded[-1])
    for word in reversed(folded[:-1]):
        pattern = re.escape(word) + _BETWEEN + b"(?:" + pattern + b"|" + _UNSURE + b")"
    return pattern


def said(span: Said, field: Place) -> str:
    """Return a span's text of a field, as it is searched."""
    if field == "name":
        return span.name
    if field == "error":
        return span.error or ""
    return words.of_document(span.input if field == "input" else span.output)


def _around(span_id: str, field: Place, text: str, at: int, all_: Sequence[Spoken]) -> Snippet:
    start = max(0, at - _BEFORE)
    if start:
        # Begin at a word, if one begins soon.
        start = next((place + 1 for place in range(start, at) if text[place].isspace()), start)
    shown = text[start : start + _CHARS]
    marks = sorted({found.span() for one in all_ for found in one.shown.finditer(shown)})[:_MARKS]
    return Snippet(span_id=span_id, field=field, text=shown, marks=tuple(marks))
