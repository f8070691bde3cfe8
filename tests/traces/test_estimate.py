"""Calls whose usage nobody reported."""

import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.core import plugins
from penstock.core.tokens import by_thumb
from penstock.traces import documents, estimate
from penstock.traces.tokenizers.openai import OpenAITokenizer, cached


def asked(text: str) -> bytes:
    return documents.shaped(text, "asked")


def said(text: str) -> bytes:
    return documents.shaped(text, "said")


def test_a_call_is_its_messages_and_their_frames() -> None:
    found = estimate.counts("llm", "any", asked("a" * 40), said("b" * 20))
    assert (found.input, found.output) == (14, 5)
    picture = documents.shaped(
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}],
        "asked",
    )
    assert estimate.counts("llm", "any", picture, said("b")).input == 4 + 765


def test_what_has_no_answer_is_no_call() -> None:
    assert not estimate.counts("llm", "any", asked("hello"), None).any
    assert not estimate.counts("llm", "any", asked("hello"), b"[]").any
    assert not estimate.counts("llm", "any", asked("hello"), said("")).any
    assert estimate.counts("embedding", "any", documents.encode(["hello there"]), None).input == 3
    assert not estimate.counts("embedding", "any", None, None).any


def test_very_long_texts_take_no_longer_than_long_ones() -> None:
    assert estimate.count("a" * 4_000_000, "any") == 1_000_000


@pytest.fixture
def tiktoken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[types.ModuleType]:
    """A package of that name that makes a token of each word, with one of two encodings on this machine."""
    library = types.ModuleType("tiktoken")
    library.__spec__ = types.SimpleNamespace()  # type: ignore[assignment]  # only its presence is asked for
    known = {"gpt-4o": "o200k_base", "gpt-4": "cl100k_base"}

    class Encoding:
        def encode_ordinary(self, text: str) -> list[str]:
            return text.split()

    library.encoding_name_for_model = known.__getitem__  # type: ignore[attr-defined]
    library.get_encoding = lambda _: Encoding()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "tiktoken", library)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    cached("o200k_base").write_bytes(b"")
    estimate._tokenizers.cache_clear()
    yield library
    estimate._tokenizers.cache_clear()


@pytest.mark.usefixtures("tiktoken")
def test_openais_own_tokenizer_counts_where_its_encoding_is_at_hand() -> None:
    tokenizer = OpenAITokenizer()
    assert tokenizer.count("one two three", "openai/gpt-4o") == 3
    assert tokenizer.count("one two three", "gpt-4") is None
    assert tokenizer.count("one two three", "claude") is None


@pytest.mark.usefixtures("tiktoken")
def test_plug_ins_come_before_the_rule_of_thumb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins, "names", lambda _: ["openai"])
    monkeypatch.setattr(plugins, "load", lambda *_: OpenAITokenizer)
    assert estimate.count("one two three", "gpt-4o") == 3
    assert estimate.count("one two three", "claude") == by_thumb("one two three")


def test_without_the_package_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert OpenAITokenizer().count("one", "gpt-4o") is None
