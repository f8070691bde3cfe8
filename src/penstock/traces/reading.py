"""One span's attributes, sorted by the tables of `dialects` into fields, lists, metadata and what is left."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from penstock.traces import dialects, documents

COUNTED = frozenset(
    {
        "input_tokens",
        "output_tokens",
        "total_tokens",
        "cached_tokens",
        "cache_write_tokens",
        "reasoning_tokens",
        "audio_input",
        "image_input",
        "audio_output",
        "image_output",
        "cost",
        "usage",
        "costs",
    }
)
"""Fields that only calls of models have; elsewhere they repeat what those say, and stay attributes."""

_PLAIN_DOCUMENTS = frozenset(
    {"input.value", "output.value", "traceloop.entity.input", "traceloop.entity.output"}
)
"""Documents that repeat what structured messages say better: used only when there are none."""

_JSON_TEXTS = ("traceloop.entity.", "mlflow.span")
"""Attributes that are always JSON texts, so that a text in quotes is meant without them."""

_ENVIRONMENT = "LANGSMITH_"
"""LangSmith sends its own settings as metadata of every run."""


class _Route(NamedTuple):
    """Where an attribute goes: `to` is field, list, keys or rest; `name` the field or list, `detail` what remains."""

    to: str
    name: str
    detail: str
    rank: int


def _ranked() -> dict[str, _Route]:
    """Return attribute key → route to its field, lower ranks winning."""
    ranked: dict[str, _Route] = {}
    for name in sorted({name for dialect in dialects.DIALECTS for name in dialect.fields}):
        keys = [key for dialect in dialects.DIALECTS for key in dialect.fields.get(name, ())]
        for rank, key in enumerate(keys):
            ranked.setdefault(key, _Route("field", name, "", rank))
    return ranked


_FIELDS = _ranked()
_LISTS = {
    prefix: (name, place)
    for name in ("input", "output", "tools", "evaluations")
    for place, prefix in enumerate(
        prefix for dialect in dialects.DIALECTS for prefix in dialect.lists.get(name, ())
    )
}
_KEYED = {
    prefix: name
    for name in ("metadata", "parameters")
    for dialect in dialects.DIALECTS
    for prefix in dialect.prefixes.get(name, ())
}
_REST = _Route("rest", "", "", 0)
_routes: dict[str, _Route] = dict(_FIELDS)
"""Attribute key → route, as far as keys were seen; every key is looked at once."""
_MOST_ROUTES = 20_000


def _routed(key: str) -> _Route:
    found = _found(key)
    if len(_routes) < _MOST_ROUTES and len(key) <= 200:  # senders may invent keys without end
        _routes[key] = found
    return found


def _found(key: str) -> _Route:
    if key.endswith(".vector") or key in dialects.KIND_ORDER:
        return _REST  # a vector is kept as its length
    for prefix in _LISTS:
        place = len(prefix) + 1
        if key.startswith(prefix) and key[place - 1 : place] == "." and key[place : place + 1].isdigit():
            return _Route("list", prefix, key[place:], 0)
    for prefix, name in _KEYED.items():
        if key.startswith(prefix):
            detail = key[len(prefix) :]
            if detail and not detail.startswith(_ENVIRONMENT):
                return _Route("keys", name, detail, 0)
    return _REST


class Reading:
    """One span while it is read: the best value of each field, and what is left."""

    __slots__ = ("keyed", "keys", "lists", "ranks", "rest", "values")

    def __init__(self, attributes: Mapping[str, Any], counted: bool) -> None:
        self.values: dict[str, Any] = {}
        """Field → its best value."""
        self.keys: dict[str, str] = {}
        """Field → the attribute that holds it."""
        self.ranks: dict[str, int] = {}
        self.lists: dict[str, dict[str, Any]] = {}
        self.keyed: dict[str, dict[str, Any]] = {"metadata": {}, "parameters": {}}
        self.rest: dict[str, Any] = {}
        routes = _routes
        for key, value in attributes.items():
            to, name, detail, rank = routes.get(key) or _routed(key)
            if to == "field":
                if not counted and name in COUNTED:
                    self.rest[key] = value
                elif name in self.values:
                    self._contend(key, value, name, rank)
                else:
                    self.values[name], self.keys[name], self.ranks[name] = value, key, rank
            elif to == "rest":
                self.rest[key] = documents.shortened(key, value)
            elif to == "list":
                self.lists.setdefault(name, {})[detail] = value
            else:
                self.keyed[name][detail] = value

    def _contend(self, key: str, value: Any, name: str, rank: int) -> None:
        """Keep the better of two attributes for a field; what the other says differently stays an attribute."""
        held_key, held = self.keys[name], self.values[name]
        if rank < self.ranks[name]:
            self.values[name], self.keys[name], self.ranks[name] = value, key, rank
            key, value, held = held_key, held, value
        if value != held:
            self.rest[key] = value

    def value(self, name: str) -> Any:
        """Return the best value of a field, or None."""
        return self.values.get(name)

    def key(self, name: str) -> str:
        """Return the attribute that holds the best value of a field, or ""."""
        return self.keys.get(name, "")

    def text(self, name: str) -> str | None:
        """Return a field as text; None when it is missing or empty."""
        value = self.values.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            return documents.as_text(value)
        return documents.unquoted(value) if value[0] == '"' else value

    def listed(self, name: str) -> Any:
        """Return the first flattened list of a kind, or None; what others of it hold is kept."""
        prefixes = self._prefixes(name)
        for prefix in prefixes[1:]:
            documents.keep_list_unless_repeated(self.rest, prefix, self.lists[prefix], None)
        return documents.unflattened(self.lists[prefixes[0]]) if prefixes else None

    def lists_of(self, name: str) -> list[tuple[str, Any]]:
        """Return every flattened list of a kind with its prefix."""
        return [(prefix, documents.unflattened(self.lists[prefix])) for prefix in self._prefixes(name)]

    def _prefixes(self, name: str) -> list[str]:
        if not self.lists:
            return []
        return [
            prefix
            for _, prefix in sorted((_LISTS[prefix][1], prefix) for prefix in self.lists)
            if _LISTS[prefix][0] == name
        ]

    def document(self, name: str, shape: documents.Shape) -> bytes | None:
        """Return the input or output: structured messages first, then flattened lists, then plain values."""
        found: bytes | None
        value, key = self.values.get(name), self.keys.get(name)
        prefixes = self._prefixes(name)
        if prefixes and (key is None or key in _PLAIN_DOCUMENTS):
            chosen = prefixes.pop(0)
            if key is not None:
                documents.keep_unless_repeated(self.rest, (key, value), self.lists[chosen])
            found = documents.shaped(documents.unflattened(self.lists[chosen]), shape)
        else:
            if key is not None and key.startswith(_JSON_TEXTS):
                value = documents.unquoted(value)
            found = None if key is None else documents.from_value(value, shape)
        for prefix in prefixes:
            documents.keep_list_unless_repeated(self.rest, prefix, self.lists[prefix], found)
        return found
