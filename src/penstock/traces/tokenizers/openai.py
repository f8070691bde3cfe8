"""OpenAI's tokenizers, where the package `tiktoken` (extra `tokens`) and its encoding are on this machine.

Encodings are never downloaded while spans arrive: make them available once with
`TIKTOKEN_CACHE_DIR=/some/folder python -c "import tiktoken; tiktoken.get_encoding('o200k_base')"` and set
TIKTOKEN_CACHE_DIR for Penstock too. The cache's layout: https://github.com/openai/tiktoken, tiktoken/load.py.
"""

import hashlib
import importlib
import importlib.util
import os
import tempfile
from pathlib import Path
from typing import Any

_ADDRESS = "https://openaipublic.blob.core.windows.net/encodings/{}.tiktoken"
_HALF = 20_000
"""Characters per piece: very long texts without spaces would take the encoder long."""


class OpenAITokenizer:
    """Counts text for models of OpenAI; knows nothing (None) about others, or without package and encoding."""

    def __init__(self) -> None:
        found = importlib.util.find_spec("tiktoken") is not None
        self._library: Any = importlib.import_module("tiktoken") if found else None
        self._encodings: dict[str, Any] = {}

    def count(self, text: str, model: str) -> int | None:
        """Return how many tokens `text` is for `model`, or None."""
        if self._library is None:
            return None
        encoding = self._encoding(model.rpartition("/")[2])
        if encoding is None:
            return None
        pieces = (text[start : start + _HALF] for start in range(0, len(text), _HALF))
        return sum(len(encoding.encode_ordinary(piece)) for piece in pieces)

    def _encoding(self, model: str) -> Any:
        try:
            name = self._library.encoding_name_for_model(model)
        except KeyError:
            return None
        if name not in self._encodings:
            self._encodings[name] = self._library.get_encoding(name) if cached(name).exists() else None
        return self._encodings[name]


def cached(name: str) -> Path:
    """Return where tiktoken keeps the encoding `name`."""
    folder = os.environ.get("TIKTOKEN_CACHE_DIR") or os.environ.get("DATA_GYM_CACHE_DIR")
    key = hashlib.sha1(_ADDRESS.format(name).encode(), usedforsecurity=False).hexdigest()
    return Path(folder or Path(tempfile.gettempdir()) / "data-gym-cache") / key
