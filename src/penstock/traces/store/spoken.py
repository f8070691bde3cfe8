"""Words as they stand in a span: told exactly, and shown in their place."""

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

from penstock.traces import words
from penstock.traces.model import Snippet, SpanRecord
from penstock.traces.query.nodes import Words

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
        self._raw = [word.encode() for word in self.words if word.isascii()]

    def occurs(self, span: SpanRecord) -> bool:
        """Whether the words are in the span as they are asked for, in one of the fields if they are a phrase."""
        texts = [self._text(span, field) for field in self._fields if self._may(span, field)]
        if self.item.phrase:
            return any(self._each[0].search(text) for text in texts)
        return all(any(one.search(text) for text in texts) for one in self._each)

    def _may(self, span: SpanRecord, field: Place) -> bool:
        """Whether the field is worth unpacking: a phrase of plain letters stands in the raw document too."""
        document = span.input if field == "input" else span.output if field == "output" else None
        if document is None or not self.item.phrase:
            return True
        lowered = document.lower()
        return all(word in lowered for word in self._raw)

    def _text(self, span: SpanRecord, field: Place) -> str:
        return said(span, field).casefold()

    def snippet(self, span: SpanRecord, all_: Sequence["Spoken"]) -> Snippet | None:
        """Return the first place in the span where one of the words stands, with what `all_` look for marked."""
        for field in self._fields:
            if self._may(span, field):
                text = said(span, field)
                if (found := self.shown.search(text)) is not None:
                    return _around(span.span_id, field, text, found.start(), all_)
        return None


def said(span: SpanRecord, field: Place) -> str:
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
