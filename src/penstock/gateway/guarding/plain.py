"""A JSON body's text without its escapes, for a scan that must not miss what `\\u0040` or `\\/` would hide."""

from codecs import escape_decode
from collections.abc import Iterator
from typing import Any

import msgspec

from penstock.core.errors import Invalid

_FEW = 40
"""Escapes up to which they are taken out one by one; with more of them, parsing the body is quicker."""
_BACKSLASH = ord("\\")
_CONTROLS = dict(zip(b"nrtbf", (b"\n", b"\r", b"\t", b"\b", b"\f"), strict=True))
_PLAIN = [_CONTROLS.get(code, bytes([code])) for code in range(256)]
_decode = msgspec.json.Decoder().decode


def decoded(body: bytes) -> Any:
    """Return what `body` says; raises Invalid when it is not JSON that can be read whole."""
    try:
        return _decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Invalid(
            "The body is not JSON that guardrails can read.",
            hint=f"The parser says: {error}.",
            details={"code": "bad_json"},
        ) from error


def unescaped(body: bytes) -> bytes:
    """Return all that stands in the strings of the JSON `body`, in order and without escapes; raises Invalid.

    There may be more in it (punctuation of the JSON itself). No string runs into another: a quote stands between them.
    """
    if _BACKSLASH not in body:
        return body
    # Python's escapes mean what JSON's mean, but for \u and \/: those keep their backslash, as escaped ones leave one.
    try:
        plain: bytes = escape_decode(body)[0]
    except (
        ValueError,
        DeprecationWarning,
    ):  # the warning, of \u and \/, is an error where somebody wants it to be
        return _rewritten(body)
    return _rewritten(body) if _BACKSLASH in plain else plain


def _rewritten(body: bytes) -> bytes:
    if body.count(b"\\") > _FEW or b"\\u" in body:
        return '"'.join(_strings(decoded(body))).encode(errors="replace")
    parts = body.split(b"\\")
    at, size = 1, len(parts)
    while at < size:
        part = parts[at]
        if part:
            parts[at] = _PLAIN[part[0]] + part[1:]
            at += 1
        else:
            parts[at] = b"\\"  # an escaped backslash: what follows it is no escape
            at += 2
    return b"".join(parts)


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
