"""Tokens of a call whose instrumentation counted none (streams of LlamaIndex and of OpenAI without `stream_options`).

With the package `tiktoken` and its encoding on this machine, text of OpenAI's models is counted as they count it.
Otherwise the rule of thumb of core.tokens holds.
Each message adds 4 tokens for its frame, an image 765 (OpenAI's price of a 1024 × 1024 image in high detail).
"""

from functools import cache
from typing import Any, Protocol

import msgspec

from penstock.core import plugins
from penstock.core.tokens import by_thumb
from penstock.traces.model import Kind
from penstock.traces.tokens import Counts

MOST_CHARS = 400_000
"""Longer texts are counted by their beginning."""
_FRAME, _IMAGE = 4, 765


class Tokenizer(Protocol):
    """Counts tokens: a plug-in of the group `penstock.tokenizers`, made once per process without arguments."""

    def count(self, text: str, model: str) -> int | None:
        """Return how many tokens `text` is for `model`, or None when it does not know that model."""


@cache
def _tokenizers() -> tuple[Tokenizer, ...]:
    return tuple(plugins.load("tokenizers", name)() for name in plugins.names("tokenizers"))


def count(text: str, model: str) -> int:
    """Return about how many tokens `text` is for `model`."""
    part = text[:MOST_CHARS]
    known = (tokenizer.count(part, model) for tokenizer in _tokenizers())
    found = next((number for number in known if number is not None), None)
    if found is None:
        return by_thumb(text)
    return found if len(part) == len(text) else found * len(text) // len(part)


def counts(kind: Kind, model: str | None, given: bytes | None, answer: bytes | None) -> Counts:
    """Return what a call probably used, from its input and output; nothing without an answer (a wrapper of a call)."""
    if kind == "embedding":
        return Counts(input=_document(given, model or "")) if given else Counts()
    if not answer or answer == b"[]":
        return Counts()
    written = _document(answer, model or "", frame=0)
    return Counts(input=_document(given, model or ""), output=written) if written else Counts()


def _document(document: bytes | None, model: str, *, frame: int = _FRAME) -> int:
    if not document:
        return 0
    try:
        value = msgspec.json.decode(document)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return count(document.decode("utf-8", "replace"), model)
    try:
        if isinstance(value, list) and all(isinstance(one, dict) for one in value):
            return sum(frame + _parts(one.get("parts", one), model) for one in value)
        return _parts(value, model)
    except RecursionError:
        return by_thumb(document.decode("utf-8", "replace"))  # nested beyond any message


def _parts(value: Any, model: str) -> int:
    if isinstance(value, str):
        return count(value, model)
    if isinstance(value, list):
        return sum(_parts(one, model) for one in value)
    if isinstance(value, dict):
        if value.get("type") in ("blob", "uri", "file"):
            return _IMAGE if value.get("modality") == "image" else 0
        return sum(_parts(item, model) for key, item in value.items() if key not in ("type", "role", "id"))
    return count(str(value), model) if isinstance(value, int | float) and not isinstance(value, bool) else 0
