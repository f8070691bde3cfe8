"""Tokens of a call whose instrumentation counted none (streams of LlamaIndex and of OpenAI without `stream_options`).

With the package `tiktoken` and its encoding on this machine, text of OpenAI's models is counted as they count it.
Otherwise one token stands for four characters of words and spaces (OpenAI's rule of thumb for English,
https://help.openai.com/en/articles/4936856), two of other alphabets, and one of Chinese, Japanese or Korean.
Each message adds 4 tokens for its frame, an image 765 (OpenAI's price of a 1024 × 1024 image in high detail).
"""

from typing import Any

import msgspec

from penstock.core import plugins
from penstock.core.errors import PenstockError
from penstock.traces.model import Kind
from penstock.traces.tokens import Counts

MOST_CHARS = 400_000
"""Longer texts are counted by their beginning."""
_FRAME, _IMAGE = 4, 765
_WIDE = 0x2E80


class Tokenizer:
    """Counts by the rule of thumb; a plug-in of the group `penstock.tokenizers` may do better for some models."""

    def count(self, text: str, model: str) -> int | None:  # noqa: ARG002 - a tokenizer
        """Return how many tokens `text` is; `model` makes no difference here."""
        if text.isascii():
            return (len(text) + 3) // 4
        plain = sum(1 for char in text if char < "\x80")
        wide = sum(1 for char in text if ord(char) >= _WIDE)
        other = len(text) - plain - wide
        return (plain + 3) // 4 + (other + 1) // 2 + wide


_thumb = Tokenizer()
_known: list[Any] = []
"""The tokenizers of this installation, once asked for, the rule of thumb last."""


def _tokenizers() -> list[Any]:
    if not _known:
        found: list[Any] = []
        for name in plugins.names("tokenizers"):
            try:
                found.append(plugins.load("tokenizers", name)())
            except PenstockError:
                continue  # its package is not installed: the rule of thumb stands in, as documented
        _known.extend([*found, _thumb])
    return _known


def count(text: str, model: str) -> int:
    """Return about how many tokens `text` is for `model`."""
    part = text[:MOST_CHARS]
    for tokenizer in _tokenizers():
        found = tokenizer.count(part, model)
        if found is not None:
            return int(found) if len(part) == len(text) else int(found) * len(text) // len(part)
    return 0


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
    if isinstance(value, list) and all(isinstance(one, dict) for one in value):
        return sum(frame + _parts(one.get("parts", one), model) for one in value)
    return _parts(value, model)


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
