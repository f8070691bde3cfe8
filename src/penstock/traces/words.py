"""The words of a span that full-text search looks through."""

import re
from typing import Any

import msgspec

MAX_CHARS = 20_000
"""Of each of input and output; what lies beyond is not searched."""

_SKIPPED_KEYS = frozenset({"role", "type", "id", "finish_reason", "object", "mime_type", "vector"})


def _strings(value: Any, found: list[str]) -> None:
    if isinstance(value, str):
        found.append(value)
    elif isinstance(value, list):
        for item in value:
            _strings(item, found)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in _SKIPPED_KEYS:
                _strings(item, found)


def of_document(document: bytes | None) -> str:
    """Return the text values of a JSON document, one per line, without roles, types and ids."""
    if not document:
        return ""
    found: list[str] = []
    try:
        _strings(msgspec.json.decode(document), found)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        found.append(document.decode("utf-8", "replace"))
    return "\n".join(found)[:MAX_CHARS]


def of_span(name: str, error: str | None, given: bytes | None, answer: bytes | None) -> str:
    """Return everything of a span that is searched."""
    text = "\n".join((name, error or "", of_document(given), of_document(answer)))
    return text.replace("\x00", " ")


_WORD = re.compile(r"[^\W_]+")
_WORD_CHARS, _QUERY_WORDS = 64, 16


def _marked(word: str, scope_id: int) -> str:
    # A word of one project is not the same word as in another: a search cannot leave its project, and costs
    # nothing for what others have stored.
    return f"q{scope_id}q{word[:_WORD_CHARS]}"


def indexed(text: str, scope_id: int) -> str:
    """Return what the index is told about a text of a scope: each word once, marked with the scope."""
    return " ".join(_marked(word, scope_id) for word in sorted(set(_WORD.findall(text.casefold()))))


def wanted(query: str, scope_id: int) -> list[str]:
    """Return the words of a search, at most 16, as they are indexed; all of them must occur."""
    return [_marked(word, scope_id) for word in _WORD.findall(query.casefold())[:_QUERY_WORDS]]
