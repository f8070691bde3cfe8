"""What could still become a match: for a pattern, the expression of the texts that could go on into one.

A stream may send what no pattern can begin in. A match attempt that starts at a place is undecided exactly when the
pattern can consume everything from there to the end of the text, in whole or as a beginning of it. So for a pattern `r`
we build the expression of all beginnings of its matches, P(r), and let RE2 search `(?:P(r))\\z`: RE2 runs patterns that
are anchored at the end backwards, and reports the leftmost such place. Compositionally: P(rs) = P(r) | r P(s),
P(r|s) = P(r) | P(s), P(r{m,n}) = r{0,n-1} P(r), P(c) = empty. What looks ahead counts as read; what looks behind is
left out. The result may be larger than needed, never smaller.
"""

import re
from re import _constants as sre  # type: ignore[attr-defined]  # the parse tree of the standard library
from re import _parser as parser  # type: ignore[attr-defined]  # as above
from typing import Any

from penstock.core.errors import Invalid

COUNT_LIMIT = 64
"""Counts above this become unbounded: RE2 unrolls counts."""
WIDTH_LIMIT = 256
_ASCII = {
    sre.CATEGORY_DIGIT: "0-9",
    sre.CATEGORY_SPACE: r"\x09-\x0d\x20",
    sre.CATEGORY_WORD: "0-9A-Za-z_",
}
_NEGATED = {
    sre.CATEGORY_NOT_DIGIT: sre.CATEGORY_DIGIT,
    sre.CATEGORY_NOT_SPACE: sre.CATEGORY_SPACE,
    sre.CATEGORY_NOT_WORD: sre.CATEGORY_WORD,
}
_BEYOND = r"\x{80}-\x{10FFFF}"
_ANY = r"(?s:.)"


def beginnings(pattern: str, flags: int = 0) -> str:
    """Return RE2 source for every beginning of a match of `pattern`, the empty one and whole matches included.

    Raises Invalid for back references and conditionals.
    """
    tree = parser.parse(pattern, flags)
    body = _prefix(list(tree))
    return f"(?i:{body})" if tree.state.flags & re.IGNORECASE else f"(?:{body})"


def widest(pattern: str, flags: int = 0) -> int | None:
    """Return the most characters that a match of `pattern` has; None when there is no small bound."""
    most = int(parser.parse(pattern, flags).getwidth()[1])
    return most if most <= WIDTH_LIMIT else None


def _char(code: int) -> str:
    return rf"\x{{{code:X}}}"


def _class(items: list[Any]) -> str:
    negate, parts = False, []
    for op, value in items:
        if op is sre.NEGATE:
            negate = True
        elif op is sre.LITERAL:
            parts.append(_char(value))
        elif op is sre.RANGE:
            parts.append(f"{_char(value[0])}-{_char(value[1])}")
        elif value in _ASCII:
            # Which characters beyond ASCII are words or spaces differs between engines: all may be.
            parts.append(_ASCII[value] + ("" if negate else _BEYOND))
        else:
            return _ANY
    return f"[{'^' if negate else ''}{''.join(parts)}]"


def _single(op: Any, value: Any) -> str | None:
    """Return the expression of an item that reads exactly one character; None for any other."""
    if op is sre.LITERAL:
        return _char(value)
    if op is sre.NOT_LITERAL:
        return f"[^{_char(value)}]"
    if op is sre.ANY:
        return _ANY
    if op is sre.IN:
        return _class(value)
    return None


def _inner(op: Any, value: Any) -> list[Any] | None:
    """Return what a group holds; None for what is no group."""
    if op is sre.SUBPATTERN:
        _, added, _, body = value
        if added & re.IGNORECASE:
            return [(_FOLDED, list(body))]
        return list(body)
    if op is sre.ATOMIC_GROUP:
        return list(value)
    return None


_FOLDED = "folded"
_REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT)
_EMPTY = (sre.AT, sre.ASSERT, sre.ASSERT_NOT)


def _whole(items: list[Any]) -> str:
    return "".join(_whole_item(op, value) for op, value in items)


def _whole_item(op: Any, value: Any) -> str:
    if (one := _single(op, value)) is not None:
        return one
    if op in _EMPTY:
        return ""
    if op == _FOLDED:
        return f"(?i:{_whole(value)})"
    if op is sre.BRANCH:
        return f"(?:{'|'.join(_whole(list(each)) for each in value[1])})"
    if op in _REPEATS:
        return _repeated(_whole(list(value[2])), value[0], value[1])
    if (body := _inner(op, value)) is not None:
        return f"(?:{_whole(body)})"
    raise Invalid("Patterns of guards may not have back references or conditionals.")


def _repeated(body: str, least: int, most: int) -> str:
    if most > COUNT_LIMIT:
        return f"(?:{body})*" if least == 0 else f"(?:{body})+"
    return f"(?:{body}){{{least},{most}}}"


def _prefix(items: list[Any]) -> str:
    built = ""
    for op, value in reversed(items):
        built = _joined(op, value, built)
    return built


def _joined(op: Any, value: Any, rest: str) -> str:
    """Return the beginnings of an item followed by what `rest` is the beginnings of."""
    if (one := _single(op, value)) is not None:
        return f"(?:{one}{rest})?"
    if op in (sre.ASSERT, sre.ASSERT_NOT) and value[0] > 0:
        return f"(?:{_prefix(list(value[1]))}|{rest})"
    if op in _EMPTY:
        return rest
    return f"(?:{_begun(op, value)}|{_whole_item(op, value)}{rest})"


def _begun(op: Any, value: Any) -> str:
    if op == _FOLDED:
        return f"(?i:{_prefix(value)})"
    if op is sre.BRANCH:
        return "|".join(_prefix(list(each)) for each in value[1])
    if op in _REPEATS:
        most = value[1]
        if most == 0:
            return ""
        return f"{_repeated(_whole(list(value[2])), 0, most - 1)}{_prefix(list(value[2]))}"
    body = _inner(op, value)
    if body is None:
        raise Invalid("Patterns of guards may not have back references or conditionals.")
    return _prefix(body)
