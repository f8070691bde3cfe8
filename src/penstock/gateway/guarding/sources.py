"""JSON source, as models write tool arguments: its strings are texts, and what replaces them is escaped again.

Each string is a text of its own, so that no find reaches over quotes and no edit can break the JSON around it. The same
holds for source that comes in pieces (`segments.SourceStream`).
"""

import re
from collections.abc import Callable

import msgspec

_string = re.compile(r'"((?:[^"\\]|\\.)*)("?)', re.DOTALL)
ATOM = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[^u]|u)", re.DOTALL
)
"""One escape; the two halves of a character beyond the 16-bit range are one."""
_PLAIN = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_encode = msgspec.json.Encoder().encode


def plain(atom: str) -> str:
    """Return the character that an escape stands for; half a character is U+FFFD."""
    if len(atom) == 12:
        high, low = int(atom[2:6], 16), int(atom[8:12], 16)
        return chr(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
    if len(atom) == 6:
        code = int(atom[2:], 16)
        return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)
    return _PLAIN.get(atom[1], atom[1])


def quoted(text: str) -> str:
    """Return `text` as it stands inside the quotes of a JSON string."""
    return _encode(text).decode()[1:-1]


def edited(source: str, edit: Callable[[str], str]) -> str:
    """Return JSON `source` with `edit` done to each of its strings; all that it leaves alone stays as it is."""

    def again(match: re.Match[str]) -> str:
        inside = match[1]
        text = ATOM.sub(lambda atom: plain(atom[0]), inside) if "\\" in inside else inside
        new = edit(text)
        return match[0] if new == text else f'"{quoted(new)}{match[2]}'

    return _string.sub(again, source)
