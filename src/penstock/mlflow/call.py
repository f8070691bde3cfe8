"""One request of an MLflow client: who asks, and its arguments (path, query and JSON body together).

The shapes are protobuf's JSON form of https://github.com/mlflow/mlflow/tree/master/mlflow/protos: 64-bit numbers may
be texts, what is absent is empty.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from penstock.core import clock
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that is not JSON: bytes in pieces."""

    pieces: Iterable[bytes]
    kind: str = "application/octet-stream"
    size: int | None = None


@dataclass(slots=True, kw_only=True)
class Call:
    """A request as its handler sees it."""

    home: Home
    actor: Actor
    args: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = None
    """The body of an upload."""
    body: bytes = b""
    """The body of a request that is not JSON."""
    default: str = ""
    """The default experiment's own id, once it was looked up for this request."""

    def text(self, *names: str) -> str:
        """Return the first argument of those names that is given, as text; "" when none is."""
        for name in names:
            value = self.args.get(name)
            if value not in (None, "", []):
                found = value[0] if isinstance(value, list) else value
                return found if isinstance(found, str) else str(found)
        return ""

    def needed(self, *names: str) -> str:
        """Return the argument; raises Invalid when it is missing."""
        found = self.text(*names)
        if not found:
            raise Invalid(f"Missing value for the required parameter {names[0]!r}.")
        return found

    def number(self, name: str, default: int) -> int:
        """Return a whole number."""
        found = self.text(name)
        try:
            return int(found) if found else default
        except ValueError:
            raise Invalid(f"The parameter {name!r} must be a whole number, not {found!r}.") from None

    def texts(self, name: str) -> list[str]:
        """Return a list of texts; one value counts as a list of one."""
        value = self.args.get(name)
        if value in (None, ""):
            return []
        items = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str | int) for item in items):
            raise Invalid(f"The parameter {name!r} must be a list of texts.")
        return [str(item) for item in items]

    def objects(self, name: str) -> list[dict[str, Any]]:
        """Return a list of JSON objects."""
        value = self.args.get(name) or []
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise Invalid(f"The parameter {name!r} must be a list of objects.")
        return value

    def pairs(self, name: str) -> dict[str, str]:
        """Return `[{"key", "value"}]` as a dictionary."""
        return pairs(self.objects(name))

    def offset(self) -> int:
        """Return the place that `page_token` stands for."""
        found = self.text("page_token")
        if found and not found.isdecimal():
            raise Invalid("The page token is not valid.")
        return int(found or 0)


def pairs(items: list[dict[str, Any]]) -> dict[str, str]:
    """Return `[{"key", "value"}]` as a dictionary."""
    try:
        return {str(item["key"]): str(item.get("value", "")) for item in items}
    except KeyError:
        raise Invalid("Missing value for the required parameter 'key'.") from None


def listed(found: Mapping[str, str]) -> list[dict[str, str]]:
    """Return a dictionary as `[{"key", "value"}]`."""
    return [{"key": key, "value": value} for key, value in found.items()]


def to_ms(moment: datetime | None) -> int:
    """Return milliseconds since the epoch; 0 for None."""
    return 0 if moment is None else clock.to_ns(moment) // 1_000_000


def from_ms(value: Any, what: str) -> datetime | None:
    """Return the moment of milliseconds since the epoch; None for nothing. Raises Invalid."""
    if value in (None, "", 0, "0"):
        return None
    try:
        return clock.from_ns(int(value) * 1_000_000)
    except (TypeError, ValueError, OverflowError):
        raise Invalid(f"The parameter {what!r} must be milliseconds, not {value!r}.") from None


def number_of(value: Any, what: str) -> float:
    """Return a number; protobuf writes NaN and infinities as texts."""
    try:
        return float(value)
    except (TypeError, ValueError):
        raise Invalid(f"{what} must be a number, not {value!r}.") from None


def whole(value: Any, what: str) -> int:
    """Return a whole number; None counts as 0."""
    try:
        return int(value or 0)
    except (TypeError, ValueError, OverflowError):
        raise Invalid(f"{what} must be a whole number, not {value!r}.") from None


def proto_number(value: float) -> float | str:
    """Return a number as protobuf's JSON writes it."""
    if value != value:
        return "NaN"
    return value if abs(value) != float("inf") else ("Infinity" if value > 0 else "-Infinity")
