"""From tokens to the tree, by recursive descent; every error names its column."""

from dataclasses import replace

from penstock.core.suggest import did_you_mean
from penstock.traces import words
from penstock.traces.query import values
from penstock.traces.query.fields import ALIASES, FIELDS, Field
from penstock.traces.query.lexer import Chunk, Lexer, Token, wrong
from penstock.traces.query.nodes import (
    Label,
    Node,
    Number,
    Pattern,
    Time,
    Where,
    Words,
    every,
    none_of,
    some,
)

MAX_DEPTH, MAX_CONDITIONS = 40, 64
_WORDS: dict[str, Where] = {"text": "text", "input": "input", "output": "output", "error": "error"}


def parse(text: str) -> Node | None:
    """Return the tree of a query, None for an empty one; raises Invalid that points at the column."""
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self._lexer = Lexer(text)
        self._token = self._lexer.next()
        self._depth = self._conditions = 0

    def parse(self) -> Node | None:
        if self._token.kind == "end":
            return None
        found = self._any()
        if self._token.kind != "end":
            raise wrong(self._token.column, "this parenthesis closes nothing")
        return found

    def _step(self) -> Token:
        token, self._token = self._token, self._lexer.next()
        return token

    def _any(self) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise wrong(self._token.column, f"a query is at most {MAX_DEPTH} levels deep")
        found = [self._all()]
        while self._token.kind == "or":
            self._step()
            found.append(self._all())
        self._depth -= 1
        return some(*found)

    def _all(self) -> Node:
        found = [self._one()]
        while self._token.kind not in ("or", "close", "end"):
            if self._token.kind == "and":
                self._step()
            found.append(self._one())
        return every(*found)

    def _one(self) -> Node:
        token = self._token
        if token.kind in ("minus", "not"):
            return self._negated()
        if token.kind == "open":
            self._step()
            found = self._any()
            if self._token.kind != "close":
                raise wrong(token.column, "this parenthesis is never closed")
            self._step()
            return found
        if token.kind in ("word", "field"):
            self._conditions += 1
            if self._conditions > MAX_CONDITIONS:
                raise wrong(token.column, f"a query has at most {MAX_CONDITIONS} conditions")
            return self._field() if token.kind == "field" else self._free()
        shown = {"end": "the query ends", "close": "a parenthesis closes"}.get(
            token.kind, "an operator stands"
        )
        raise wrong(token.column, f"{shown} where a condition should be")

    def _negated(self) -> Node:
        negative = False
        while self._token.kind in ("minus", "not"):
            self._step()
            negative = not negative
        found = self._one()
        return none_of(found) if negative else found

    def _free(self) -> Node:
        token = self._step()
        return _words(FIELDS["text"], "text", token)

    def _field(self) -> Node:
        # The next token is read only after the value: values have rules of their own.
        token = self._token
        field, key = _known(token)
        value = self._lexer.value()
        if value.kind == "open":
            found = self._group(token, field, key, value.column)
        else:
            found = _condition(token, field, key, value)
        self._token = self._lexer.next()
        return none_of(found) if token.operator == "!=" else found

    def _group(self, token: Token, field: Field, key: str, column: int) -> Node:
        found = []
        while True:
            value = self._lexer.value()
            if value.kind == "open":
                raise wrong(value.column, "a list of values cannot hold another")
            found.append(_condition(token, field, key, value))
            self._conditions += 1
            if self._conditions > MAX_CONDITIONS:
                raise wrong(value.column, f"a query has at most {MAX_CONDITIONS} conditions")
            following = self._lexer.next()
            if following.kind == "close":
                return some(*found)
            if following.kind == "end":
                raise wrong(column, "this parenthesis is never closed")
            if following.kind != "or":
                raise wrong(following.column, "values of a list are joined by OR", "Write user:(ada OR bob).")


def _known(token: Token) -> tuple[Field, str]:
    name, key = ALIASES.get(token.name, token.name), token.key
    field = FIELDS.get(name)
    if field is None and key:  # a.b:c, as attributes are named
        return FIELDS["attributes"], f"{token.name}.{key}"
    if field is None:
        hint = did_you_mean(token.name, FIELDS) + " To look for such a text, quote it."
        raise wrong(token.column, f"there is no field {token.name!r}", hint)
    if field.keyed and not key:
        raise wrong(token.column, f"{field.name} needs a key", f"Write it like {field.example}")
    if key and not field.keyed:
        raise wrong(token.column, f"{field.name} has no keys", f"Write it like {field.example}")
    return field, key


def _condition(token: Token, field: Field, key: str, value: Token) -> Node:
    ordered = token.operator in (">", ">=", "<", "<=")
    if ordered and field.holds not in ("number", "duration", "money"):
        raise wrong(
            token.column, f"{field.name} cannot be compared with {token.operator}", f"Write {field.example}"
        )
    try:
        if field.holds == "words":
            return _words(field, _WORDS[field.name], value)
        if field.holds in ("label", "id"):
            return _label(field, key, value)
        if field.holds == "time":
            return _time(field, _plain(value))
        return _number(field, key, token.operator, _plain(value))
    except values.Unreadable as error:
        raise wrong(value.column, str(error)) from error


def _plain(value: Token) -> str:
    return "".join(chunk.text for chunk in value.chunks)


def _words(field: Field, where: Where, value: Token) -> Words:
    if len(value.chunks) != 1:
        raise wrong(value.column, "put the whole text into quotes")
    chunk = value.chunks[0]
    if chunk.quoted:
        found = Words(where, chunk.text, phrase=True)
    else:
        stem = chunk.text.rstrip("*")
        found = Words(where, stem, prefix=stem != chunk.text)
    if not found.text and found.prefix and where != "text":
        return found
    if not words.split(found.text):
        raise wrong(value.column, f"{field.name} needs a word: letters or digits")
    if found.prefix and not words.split(found.text[-1]):
        return replace(found, prefix=False)
    return found


def _label(field: Field, key: str, value: Token) -> Label:
    pattern = _pattern(value.chunks)
    if pattern.parts == ("",):
        raise wrong(value.column, f"{field.name} needs a value", f"-{field.name}:* finds what has none.")
    if field.values and pattern.exact is not None and pattern.exact not in field.values:
        raise wrong(
            value.column,
            f"{field.name} is never {pattern.exact!r}",
            did_you_mean(pattern.exact, field.values),
        )
    if field.holds == "id" and not _is_id(pattern):
        raise wrong(value.column, "a trace id is 32 hex digits; shorten it with * at the end")
    return Label(field.name, key, pattern)


def _is_id(pattern: Pattern) -> bool:
    if len(pattern.parts) > 2 or (len(pattern.parts) == 2 and pattern.parts[1]):
        return False
    digits = pattern.parts[0]
    fits = len(digits) == 32 if pattern.exact is not None else 1 <= len(digits) <= 32
    return fits and all(char in "0123456789abcdef" for char in digits)


def _pattern(chunks: tuple[Chunk, ...]) -> Pattern:
    parts = [""]
    for chunk in chunks:
        pieces = [chunk.text] if chunk.quoted else chunk.text.split("*")
        parts[-1] += pieces[0]
        parts.extend(pieces[1:])
    # ** says no more than *
    kept = [part for place, part in enumerate(parts) if part or place in (0, len(parts) - 1)]
    return Pattern(tuple(kept))


def _time(field: Field, text: str) -> Time:
    if field.name == "at":
        return Time(*values.stretch(text))
    moment = values.moment(text)
    return Time(moment, None) if field.name == "since" else Time(None, moment)


def _number(field: Field, key: str, operator: str, text: str) -> Number:
    if operator in (">", ">="):
        return Number(field.name, key, values.number(field, text), None, low_in=operator == ">=")
    if operator in ("<", "<="):
        return Number(field.name, key, None, values.number(field, text), high_in=operator == "<=")
    if ".." not in text:
        value = values.number(field, text)
        return Number(field.name, key, value, value)
    first, _, last = text.partition("..")
    low = values.number(field, first) if first else None
    high = values.number(field, last) if last else None
    if low is None and high is None:
        raise values.Unreadable("a range needs a start or an end")
    if low is not None and high is not None and low > high:
        raise values.Unreadable(f"the range {text} is empty")
    return Number(field.name, key, low, high)
