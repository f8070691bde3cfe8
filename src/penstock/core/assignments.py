"""`NAME=VALUE` words of a command line."""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import yaml

from penstock.core.errors import Invalid


def parse(words: Iterable[str]) -> dict[str, Any]:
    """Return key → value of `KEY=VALUE`, each value read as YAML (`3` is a number, `[a, b]` a list); raises Invalid."""
    found: dict[str, Any] = {}
    for word, key, value in _split(words, "KEY=VALUE"):
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise Invalid(f"The value in {word!r} is not valid YAML.") from error
    return found


def options(words: Iterable[str]) -> dict[str, Any]:
    """Return name → value of `NAME=VALUE`: what is no JSON is text, so `2024-10-21` stays as it is; raises Invalid."""
    found: dict[str, Any] = {}
    for _, name, value in _split(words, "NAME=VALUE"):
        try:
            found[name] = msgspec.json.decode(value)
        except msgspec.DecodeError:
            found[name] = value
    return found


def _split(words: Iterable[str], form: str) -> Iterator[tuple[str, str, str]]:
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise Invalid(f"{word!r} is not {form}.")
        yield word, name, value
