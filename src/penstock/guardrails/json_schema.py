"""JSON Schema (draft 2020-12), compiled once into checks: the keywords that say what an answer must look like.

Everything else is refused by name when it is compiled, so that no keyword is ever silently ignored. `pattern` is RE2:
linear time, whatever it says. `$ref` may point into `$defs` (or `definitions`) of the same schema, recursively.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean
from penstock.guardrails.options import user_pattern

MAX_DEPTH = 64
"""Levels of a schema."""
Check = Callable[[Any], str | None]
"""Value → the keyword's path in the schema that is not met; None: all good."""
_ANNOTATIONS = frozenset(
    {
        "$schema", "$id", "$comment", "title", "description", "default", "examples", "deprecated",
        "readOnly", "writeOnly", "$defs", "definitions", "format", "contentMediaType", "contentEncoding",
    }
)  # fmt: skip
"""Keywords that say nothing about whether a value is good (`format` is an annotation in 2020-12)."""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": _is_number,
    "integer": lambda value: _is_number(value) and float(value).is_integer(),
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}


def same(a: Any, b: Any) -> bool:
    """Whether two JSON values are equal; unlike Python's `==`, true is not 1, while 1 is 1.0."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return bool(a == b)


class Place(NamedTuple):
    """Where a keyword stands."""

    at: str
    depth: int
    beside: Mapping[str, Any]
    """The schema it is part of."""


class Schema:
    """A compiled schema."""

    def __init__(self, source: Mapping[str, Any] | bool) -> None:
        self._check = Compiler(source).compiled(source, "", 0)

    def wrong(self, value: Any) -> str | None:
        """Return where in the schema the rule stands that `value` breaks, never what it holds; None: it is good."""
        try:
            return self._check(value)
        except RecursionError:
            # References may go round for ever, and values may be as deep as they like.
            return "depth"


def compiled(source: Mapping[str, Any] | bool) -> Schema:
    """Return the schema, ready to check values; raises Invalid, naming what it does not understand."""
    return Schema(source)


class Compiler:
    """Turns one schema into checks."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._references: dict[str, Check] = {}
        self._makers: dict[str, Callable[[Any, Place], Check]] = {
            "type": self._type, "enum": self._enum, "const": self._const, "$ref": self._ref,
            "properties": self._properties, "required": self._required,
            "additionalProperties": self._additional, "patternProperties": self._pattern_properties,
            "propertyNames": self._property_names, "dependentRequired": self._dependent,
            "items": self._items, "prefixItems": self._prefix_items, "uniqueItems": self._unique,
            "pattern": self._pattern, "multipleOf": self._multiple, "contains": self._contains,
            "allOf": self._all_of, "anyOf": self._any_of, "oneOf": self._one_of, "not": self._not,
        }  # fmt: skip

    def compiled(self, source: Any, at: str, depth: int) -> Check:
        """Return the check of a (sub)schema that stands at `at`."""
        if depth > MAX_DEPTH:
            raise Invalid(f"The schema is nested deeper than {MAX_DEPTH} levels.")
        if source is True:
            return lambda _: None
        if source is False:
            return lambda _: at or "false"
        if not isinstance(source, Mapping):
            raise Invalid(f"The schema at {at or 'the top'} must be an object or a boolean.")
        checks: list[Check] = []
        for keyword, value in source.items():
            if keyword in _ANNOTATIONS:
                continue
            if keyword in _BOUNDS:
                checks.append(_bound(keyword, value, f"{at}/{keyword}"))
            elif keyword in self._makers:
                checks.append(self._makers[keyword](value, Place(f"{at}/{keyword}", depth + 1, source)))
            elif keyword not in _BESIDE:
                known = [*self._makers, *_BOUNDS]
                raise Invalid(
                    f"The schema keyword {keyword!r} is not understood.", hint=did_you_mean(keyword, known)
                )
        return _all(checks)

    # -- any value -----------------------------------------------------------------------------------------

    def _type(self, given: Any, place: Place) -> Check:
        names = [given] if isinstance(given, str) else given
        if not isinstance(names, list) or not names or not all(name in _TYPES for name in map(str, names)):
            raise Invalid(f"The schema's {place.at} must be one of {', '.join(_TYPES)}, or a list of them.")
        tests = [_TYPES[name] for name in names]
        return lambda value: None if any(test(value) for test in tests) else place.at

    def _enum(self, given: Any, place: Place) -> Check:
        _must(isinstance(given, list), place.at, "a list")
        return lambda value: None if any(same(value, each) for each in given) else place.at

    def _const(self, given: Any, place: Place) -> Check:
        return lambda value: None if same(value, given) else place.at

    def _ref(self, given: Any, place: Place) -> Check:
        _must(isinstance(given, str), place.at, "a string")
        if given not in self._references:
            target = self._target(given)
            self._references[given] = _pending
            self._references[given] = self.compiled(target, given, place.depth)

        def check(value: Any) -> str | None:
            return self._references[given](value)

        return check

    def _target(self, reference: str) -> Any:
        found: Any = self._root
        if not reference.startswith("#"):
            raise Invalid(f"The schema refers to {reference!r}; only `#/...` is understood.")
        for part in reference[1:].split("/")[1:]:
            name = part.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, Mapping) or name not in found:
                raise Invalid(f"The schema refers to {reference!r}, which it does not have.")
            found = found[name]
        return found

    def _all_of(self, given: Any, place: Place) -> Check:
        return _all(self._several(given, place))

    def _any_of(self, given: Any, place: Place) -> Check:
        checks = self._several(given, place)
        return lambda value: None if any(check(value) is None for check in checks) else place.at

    def _one_of(self, given: Any, place: Place) -> Check:
        checks = self._several(given, place)
        return lambda value: None if sum(check(value) is None for check in checks) == 1 else place.at

    def _not(self, given: Any, place: Place) -> Check:
        check = self.compiled(given, place.at, place.depth)
        return lambda value: place.at if check(value) is None else None

    def _several(self, given: Any, place: Place) -> list[Check]:
        _must(isinstance(given, list) and bool(given), place.at, "a list of schemas")
        return [self.compiled(each, f"{place.at}/{number}", place.depth) for number, each in enumerate(given)]

    # -- objects -------------------------------------------------------------------------------------------

    def _properties(self, given: Any, place: Place) -> Check:
        checks = self._named(given, place)

        def check(value: Any) -> str | None:
            if not isinstance(value, dict):
                return None
            inner = ((name, each) for name, each in checks.items() if name in value)
            return next((w for name, each in inner if (w := each(value[name])) is not None), None)

        return check

    def _named(self, given: Any, place: Place) -> dict[str, Check]:
        _must(isinstance(given, Mapping), place.at, "an object of schemas")
        return {name: self.compiled(each, f"{place.at}/{name}", place.depth) for name, each in given.items()}

    def _required(self, given: Any, place: Place) -> Check:
        _must(_are_texts(given), place.at, "a list of names")

        def check(value: Any) -> str | None:
            missing = isinstance(value, dict) and next((name for name in given if name not in value), None)
            return f"{place.at}/{missing}" if missing else None

        return check

    def _additional(self, given: Any, place: Place) -> Check:
        inner = self.compiled(given, place.at, place.depth)
        named = frozenset(place.beside.get("properties", ()))
        patterns = [user_pattern(pattern) for pattern in place.beside.get("patternProperties", ())]

        def check(value: Any) -> str | None:
            if not isinstance(value, dict):
                return None
            more = (n for n in value if n not in named and not any(p.search(n) for p in patterns))
            return next((w for n in more if (w := inner(value[n])) is not None), None)

        return check

    def _pattern_properties(self, given: Any, place: Place) -> Check:
        checks = [(user_pattern(name), each) for name, each in self._named(given, place).items()]

        def check(value: Any) -> str | None:
            if not isinstance(value, dict):
                return None
            inner = ((name, each) for pattern, each in checks for name in value if pattern.search(name))
            return next((w for name, each in inner if (w := each(value[name])) is not None), None)

        return check

    def _property_names(self, given: Any, place: Place) -> Check:
        inner = self.compiled(given, place.at, place.depth)

        def check(value: Any) -> str | None:
            if not isinstance(value, dict):
                return None
            return next((wrong for name in value if (wrong := inner(name)) is not None), None)

        return check

    def _dependent(self, given: Any, place: Place) -> Check:
        good = isinstance(given, Mapping) and all(_are_texts(each) for each in given.values())
        _must(good, place.at, "an object of lists of names")

        def check(value: Any) -> str | None:
            if not isinstance(value, dict):
                return None
            return next(
                (
                    f"{place.at}/{n}"
                    for n, more in given.items()
                    if n in value and not set(more) <= set(value)
                ),
                None,
            )

        return check

    # -- arrays, strings, numbers --------------------------------------------------------------------------

    def _items(self, given: Any, place: Place) -> Check:
        inner = self.compiled(given, place.at, place.depth)
        first = len(place.beside.get("prefixItems", ()))

        def check(value: Any) -> str | None:
            if not isinstance(value, list):
                return None
            return next((w for each in value[first:] if (w := inner(each)) is not None), None)

        return check

    def _prefix_items(self, given: Any, place: Place) -> Check:
        checks = self._several(given, place)

        def check(value: Any) -> str | None:
            if not isinstance(value, list):
                return None
            pairs = zip(checks, value, strict=False)
            return next((w for inner, each in pairs if (w := inner(each)) is not None), None)

        return check

    def _contains(self, given: Any, place: Place) -> Check:
        inner = self.compiled(given, place.at, place.depth)
        least, most = place.beside.get("minContains", 1), place.beside.get("maxContains", float("inf"))
        _must(_is_number(least) and _is_number(most), place.at, "beside numbers minContains and maxContains")

        def check(value: Any) -> str | None:
            if not isinstance(value, list):
                return None
            return None if least <= sum(inner(each) is None for each in value) <= most else place.at

        return check

    def _unique(self, given: Any, place: Place) -> Check:
        _must(isinstance(given, bool), place.at, "true or false")

        def check(value: Any) -> str | None:
            if not given or not isinstance(value, list):
                return None
            return place.at if len({_canonical(each) for each in value}) < len(value) else None

        return check

    def _pattern(self, given: Any, place: Place) -> Check:
        _must(isinstance(given, str), place.at, "a pattern")
        pattern = user_pattern(given)
        return lambda value: None if not isinstance(value, str) or pattern.search(value) else place.at

    def _multiple(self, given: Any, place: Place) -> Check:
        _must(_is_number(given) and given > 0, place.at, "a number above 0")

        def check(value: Any) -> str | None:
            if not _is_number(value):
                return None
            parts = value / given
            return None if abs(parts - round(parts)) < 1e-9 * max(1.0, abs(parts)) else place.at

        return check


_BESIDE = frozenset({"minContains", "maxContains"})
_BOUNDS: dict[str, tuple[Callable[[Any], bool], Callable[[Any, Any], bool]]] = {
    "minimum": (_is_number, lambda value, bound: value >= bound),
    "maximum": (_is_number, lambda value, bound: value <= bound),
    "exclusiveMinimum": (_is_number, lambda value, bound: value > bound),
    "exclusiveMaximum": (_is_number, lambda value, bound: value < bound),
    "minLength": (_TYPES["string"], lambda value, bound: len(value) >= bound),
    "maxLength": (_TYPES["string"], lambda value, bound: len(value) <= bound),
    "minItems": (_TYPES["array"], lambda value, bound: len(value) >= bound),
    "maxItems": (_TYPES["array"], lambda value, bound: len(value) <= bound),
    "minProperties": (_TYPES["object"], lambda value, bound: len(value) >= bound),
    "maxProperties": (_TYPES["object"], lambda value, bound: len(value) <= bound),
}


def _bound(keyword: str, bound: Any, at: str) -> Check:
    _must(_is_number(bound), at, "a number")
    concerns, good = _BOUNDS[keyword]
    return lambda value: None if not concerns(value) or good(value, bound) else at


def _all(checks: Sequence[Check]) -> Check:
    def check(value: Any) -> str | None:
        return next((wrong for each in checks if (wrong := each(value)) is not None), None)

    return check


def _pending(_: Any) -> str | None:
    raise AssertionError("a reference is looked up only after its schema was compiled")


def _are_texts(given: Any) -> bool:
    return isinstance(given, list) and all(isinstance(each, str) for each in given)


def _canonical(value: Any) -> bytes:
    return msgspec.json.encode(_plain(value), order="sorted")


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return {name: _plain(each) for name, each in value.items()} if isinstance(value, dict) else value


def _must(good: bool, at: str, what: str) -> None:
    if not good:
        raise Invalid(f"The schema's {at} must be {what}.")
