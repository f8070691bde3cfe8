"""Reading an answer made of named fields: `key: value` lines or a JSON object."""

import re
from typing import Any

import msgspec

_LINE = re.compile(r"^\s*([^\s:][^:\n]{0,63}?)\s*:[ \t]*(.*?)\s*$")
_FENCE = re.compile(r"^\s*```[a-zA-Z]*\s*\n(.*?)\n?\s*```\s*$", re.DOTALL)


def parse_value(text: str, *, fenced: bool = True) -> Any:
    """Return the JSON value that `text` is, or `msgspec.UNSET`; `fenced` takes a Markdown fence around it off."""
    fence = _FENCE.match(text) if fenced else None
    try:
        return msgspec.json.decode((fence.group(1) if fence else text).strip().encode())
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return msgspec.UNSET


def parse_json(text: str) -> dict[str, Any] | None:
    """Return the JSON object in `text` (a Markdown fence around it is taken off), or None."""
    if not text.lstrip().startswith(("{", "```")):
        return None
    value = parse_value(text)
    return value if isinstance(value, dict) else None


def parse_lines(text: str) -> dict[str, str] | None:
    """Return the fields of `key: value` lines in lower-case keys, or None when any line is not one.

    Blank lines are skipped; a key given twice makes the text unreadable.
    """
    fields: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        match = _LINE.match(line)
        if match is None or match.group(1).lower() in fields:
            return None
        fields[match.group(1).lower()] = match.group(2)
    return fields or None


def lenient_lines(text: str) -> dict[str, str]:
    """Return the readable `key: value` lines of an answer in lower-case keys; the first of a repeated key counts."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if match := _LINE.match(line):
            found.setdefault(match.group(1).lower(), match.group(2))
    return found


def plain(value: Any) -> str:
    """Return a field's value as comparable text: strings stripped, all else as canonical JSON."""
    if isinstance(value, str):
        return value.strip()
    return msgspec.json.encode(value, order="deterministic").decode()
