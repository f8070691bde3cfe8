"""`KEY=VALUE` words of a command line."""

from collections.abc import Iterable
from typing import Any

import yaml

from penstock.core.errors import Invalid


def parse(words: Iterable[str]) -> dict[str, Any]:
    """Return key → value, each value read as YAML (`3` is a number, `[a, b]` a list); raises Invalid."""
    found: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise Invalid(f"{word!r} is not KEY=VALUE.")
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise Invalid(f"The value in {word!r} is not valid YAML.") from error
    return found
