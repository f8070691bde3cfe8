"""From text to tokens, each with its column (from 1)."""

import re
from dataclasses import dataclass
from typing import Literal

from penstock.core.errors import Invalid

MAX_CHARS = 4000
_FIELD = re.compile(r'([A-Za-z_][A-Za-z0-9_]*)(?:\.([^\s():<>=!"]+)|\.(?="))?')
_OPERATOR = re.compile(r":|>=|<=|!=|>|<|=")
_STOPS = frozenset('()"')

Kind = Literal["open", "close", "minus", "and", "or", "not", "word", "field", "end"]
_NAMED: dict[str, Kind] = {"AND": "and", "OR": "or", "NOT": "not"}


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a value; in a bare one * is a wildcard."""

    text: str
    quoted: bool


@dataclass(frozen=True, slots=True)
class Token:
    """One token; words and fields carry chunks, fields a name, a key and an operator too."""

    kind: Kind
    column: int
    chunks: tuple[Chunk, ...] = ()
    name: str = ""
    key: str = ""
    operator: str = ""


def wrong(column: int, message: str, hint: str = "") -> Invalid:
    """Return the error that points at `column`."""
    return Invalid(f"Query, column {column}: {message}.", hint=hint, details={"column": column})


class Lexer:
    """Hands out the tokens of a query one by one."""

    def __init__(self, text: str) -> None:
        if len(text) > MAX_CHARS:
            raise wrong(MAX_CHARS + 1, f"a query has at most {MAX_CHARS} characters")
        for place, char in enumerate(text):
            if char == "\x00" or "\ud800" <= char <= "\udfff":
                raise wrong(place + 1, "this character cannot be searched for")
        self._text = text
        self._at = 0

    def next(self) -> Token:
        """Return the next token; `end` at the end, again and again."""
        self._skip()
        column, text = self._at + 1, self._text
        if self._at >= len(text):
            return Token("end", column)
        char = text[self._at]
        if char in "()":
            self._at += 1
            return Token("open" if char == "(" else "close", column)
        if char == "-" and self._at + 1 < len(text) and not text[self._at + 1].isspace():
            self._at += 1
            return Token("minus", column)
        return self._field(column) or self._word(column)

    def value(self) -> Token:
        """Return what follows an operator: a word, or `open` when it is a group."""
        self._skip()
        column = self._at + 1
        if self._text[self._at : self._at + 1] == "(":
            self._at += 1
            return Token("open", column)
        chunks = self._chunks()
        if not chunks:
            raise wrong(column, "a value is missing here", 'Write field:value, or field:"a value".')
        return Token("word", column, chunks)

    def _skip(self) -> None:
        while self._at < len(self._text) and self._text[self._at].isspace():
            self._at += 1

    def _field(self, column: int) -> Token | None:
        found = _FIELD.match(self._text, self._at)
        if found is None:
            return None
        at, key = found.end(), found.group(2) or ""
        if found.group(0).endswith(".") and not key:
            key, at = self._quoted(at)
        operator = _OPERATOR.match(self._text, at)
        if operator is None:
            return None
        self._at = operator.end()
        return Token("field", column, name=found.group(1), key=key, operator=operator.group())

    def _word(self, column: int) -> Token:
        if self._text[self._at] == '"':
            text, self._at = self._quoted(self._at)
            return Token("word", column, (Chunk(text, quoted=True),))
        text = self._bare()
        return Token(_NAMED.get(text, "word"), column, (Chunk(text, quoted=False),))

    def _bare(self) -> str:
        start = self._at
        while (
            self._at < len(self._text)
            and not self._text[self._at].isspace()
            and self._text[self._at] not in _STOPS
        ):
            self._at += 1
        return self._text[start : self._at]

    def _chunks(self) -> tuple[Chunk, ...]:
        found: list[Chunk] = []
        while self._at < len(self._text):
            if self._text[self._at] == '"':
                text, self._at = self._quoted(self._at)
                found.append(Chunk(text, quoted=True))
            elif bare := self._bare():
                found.append(Chunk(bare, quoted=False))
            else:
                break
        return tuple(found)

    def _quoted(self, at: int) -> tuple[str, int]:
        """Return the text quoted from `at` on and the place after it."""
        start, found = at, []
        at += 1
        while at < len(self._text):
            char = self._text[at]
            if char == '"':
                return "".join(found), at + 1
            if char == "\\" and self._text[at + 1 : at + 2] in ('"', "\\"):
                at += 1
                char = self._text[at]
            found.append(char)
            at += 1
        raise wrong(start + 1, "this quote is never closed", 'A quote inside a quoted text is written \\".')
