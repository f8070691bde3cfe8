"""The words of a span that full-text search looks through."""

import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
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
_ASCII = "".join(chr(code).lower() if chr(code).isalnum() else " " for code in range(128))
"""What each character of ASCII becomes before words are split at spaces."""
_WORD_CHARS, QUERY_WORDS = 64, 16
_VALUE_CHARS, _ATTRIBUTES, _DEPTH, _ITEMS = 200, 64, 3, 16


def split(text: str) -> list[str]:
    """Return the words of a text, in order, as they are compared."""
    return _WORD.findall(text.casefold())


def marked(word: str, scope_id: int) -> str:
    """Return a word of a text as it is indexed.

    A word of one project is not the same word as in another: a search cannot leave its project, and costs nothing
    for what others have stored.
    """
    return f"q{scope_id}q{word[:_WORD_CHARS]}"


@lru_cache(maxsize=16_384)
def _hashed(mark: str, text: str, scope_id: int) -> str:
    digest = hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()
    return f"{mark}{scope_id}{mark}{digest}"


def of_attribute(key: str, value: str, scope_id: int) -> str:
    """Return the word that stands in the index for an attribute with this value."""
    return _hashed("a", f"{key}={value[:_VALUE_CHARS]}", scope_id)


def of_attribute_key(key: str, scope_id: int) -> str:
    """Return the word that stands in the index for an attribute of this name."""
    return _hashed("k", key, scope_id)


def attribute_pairs(
    attributes: Mapping[str, Any], prefix: str = "", depth: int = 0
) -> Iterator[tuple[str, str]]:
    """Yield (dotted key, text) of each plain value; lists give each of their first 16 items."""
    for key, value in attributes.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            if depth < _DEPTH:
                yield from attribute_pairs(value, f"{name}.", depth + 1)
            continue
        for item in value[:_ITEMS] if isinstance(value, list | tuple) else (value,):
            if isinstance(item, bool):
                yield name, "true" if item else "false"
            elif isinstance(item, str | int | float):
                yield name, str(item)


def searched(attributes: Mapping[str, Any], parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the attributes by which a span can be found: its own, and the call's parameters by OpenTelemetry's names.

    https://opentelemetry.io/docs/specs/semconv/gen-ai/ calls these `gen_ai.request.*`, whatever the sender did.
    """
    if not parameters:
        return attributes
    return {f"gen_ai.request.{name}": value for name, value in parameters.items()} | dict(attributes)


def known_attributes(attributes: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the attributes the index knows: (dotted key, text) of the first 64 plain values."""
    return list(itertools.islice(attribute_pairs(attributes), _ATTRIBUTES)) if attributes else []


def key_name(key: str) -> str:
    """Return an attribute's key as people are told it: at most 200 characters, without NUL and lone surrogates."""
    return key[:_VALUE_CHARS].replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def _found(text: str) -> set[str]:
    """Return the different words of a text, as `split` finds them.

    Text of ASCII alone goes through one table and no pattern; of other text, only what is more than a word does.
    """
    if text.isascii():
        return set(text.translate(_ASCII).split())
    pieces = set(text.casefold().split())
    found = {piece for piece in pieces if piece.isalnum()}
    found.update(_WORD.findall(" ".join(pieces - found)))
    return found


def indexed(text: str, scope_id: int, attributes: Sequence[tuple[str, str]] = ()) -> str:
    """Return what the index is told about a span of a scope: each word once, marked with the scope."""
    found = _found(text)
    if found and max(map(len, found)) > _WORD_CHARS:
        found = {word[:_WORD_CHARS] for word in found}
    mark = f" q{scope_id}q"
    parts = [mark[1:] + mark.join(found)] if found else []
    parts += {of_attribute(key, value, scope_id) for key, value in attributes}
    parts += {of_attribute_key(key, scope_id) for key, _ in attributes}
    return " ".join(parts)
