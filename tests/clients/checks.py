"""What the scripts share: arguments, checks, and the sentences that the model says. No imports beyond the library."""

import json
import sys
import traceback
from collections.abc import Callable
from importlib import metadata
from typing import Any

TEXT = "It is cold in Oslo."
FAMILIES = ("oa", "an", "ge")
"""Routes of the runner: a model behind OpenAI's, Anthropic's and Gemini's API."""
EMBEDDERS = ("embed-oa", "embed-ge")
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


class Checks:
    """Runs checks, keeps what came of them, and prints it when the block ends."""

    def __init__(self, *packages: str) -> None:
        if len(sys.argv) != 3:
            raise SystemExit(f"usage: {sys.argv[0]} http://127.0.0.1:8600 psk_…")
        self.url, self.key = sys.argv[1].rstrip("/"), sys.argv[2]
        self.packages = {name: metadata.version(name) for name in packages}
        self._done: list[dict[str, Any]] = []

    @property
    def v1(self) -> str:
        return f"{self.url}/v1"

    def each(self, name: str, check: Callable[[str], object], models: tuple[str, ...] = FAMILIES) -> None:
        """Run one check with every model."""
        for model in models:
            self.once(name, check, model)

    def once(self, name: str, check: Callable[[str], object], model: str = "oa") -> None:
        """Run one check with one model: it passes unless it raises."""
        error = ""
        try:
            check(model)
        except Exception as failure:  # noqa: BLE001 - whatever a client raises is the result
            at = traceback.extract_tb(failure.__traceback__)[1:2]
            error = f"line {at[0].lineno if at else '?'}: {type(failure).__name__}: {failure}"[:600]
        self._done.append({"check": name, "model": model, "ok": not error, "error": error})

    def __enter__(self) -> "Checks":
        return self

    def __exit__(self, *failure: object) -> None:
        if failure[0] is None:
            print(json.dumps({"packages": self.packages, "checks": self._done}))


def equal(found: object, expected: object) -> None:
    """Raise when the two differ."""
    if found != expected:
        raise AssertionError(f"{found!r} is not {expected!r}")


def true(found: object) -> None:
    """Raise unless there is something."""
    if not found:
        raise AssertionError(f"{found!r}")


def raised(kind: Any, call: Callable[[], object]) -> Any:
    """Return the error of this kind that `call` raises."""
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind}")
