"""What changed between two versions, word by word."""

import re
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

import msgspec

from penstock.prompts.model import Body, Kind

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text that is equal in both versions, or only in one of them."""

    op: Literal["equal", "insert", "delete"]
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """A part of the body (`text`, `messages`, `settings`, …) that differs."""

    field: str
    pieces: tuple[Piece, ...]


def words(before: str, after: str) -> tuple[Piece, ...]:
    """Return the pieces that turn `before` into `after`; joining equal+delete gives `before`, equal+insert `after`."""
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    pieces: list[Piece] = []
    for op, i1, i2, j1, j2 in SequenceMatcher(a=old, b=new, autojunk=False).get_opcodes():
        if op == "equal":
            pieces.append(Piece("equal", "".join(old[i1:i2])))
            continue
        if i2 > i1:
            pieces.append(Piece("delete", "".join(old[i1:i2])))
        if j2 > j1:
            pieces.append(Piece("insert", "".join(new[j1:j2])))
    return tuple(pieces)


def _pretty(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _messages(body: Body) -> str:
    lines = []
    for message in body.messages:
        content = message.get("content", f"{{{{ {message.get('placeholder')} }}}}")
        lines.append(
            f"[{message.get('role', 'messages')}]\n{content if isinstance(content, str) else _pretty(content)}"
        )
    return "\n\n".join(lines)


def _fields(body: Body) -> dict[str, str]:
    said = body.text if body.kind is Kind.TEXT else _messages(body)
    return {
        "content": said,
        "variables": _pretty(body.variables) if body.variables else "",
        "tools": _pretty(body.tools) if body.tools else "",
        "output_schema": _pretty(body.output_schema) if body.output_schema else "",
        "settings": _pretty(body.settings) if body.settings else "",
    }


def compare(before: Body, after: Body) -> tuple[Change, ...]:
    """Return the parts that differ, each as pieces by word; empty when the bodies say the same."""
    old, new = _fields(before), _fields(after)
    return tuple(Change(name, words(old[name], new[name])) for name in old if old[name] != new[name])
