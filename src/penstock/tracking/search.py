"""The filter language of MLflow: conditions joined by AND, as `metrics.loss < 0.1 AND tags.team = 'search'`.

Grammar: https://mlflow.org/docs/latest/ml/search/search-runs (runs), …/genai/tracing/search-traces (traces).
A condition is `entity.key operator value`, `entity.key IN ('a', 'b')` or `entity.key IS [NOT] NULL`; a key with
special characters is written in backticks or double quotes. A key alone is an attribute.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from penstock.core.errors import Invalid

RUN_ENTITIES = {
    **dict.fromkeys(("metric", "metrics"), "metric"),
    **dict.fromkeys(("param", "params", "parameter", "parameters"), "param"),
    **dict.fromkeys(("tag", "tags"), "tag"),
    **dict.fromkeys(("attribute", "attributes", "attr", "run"), "attribute"),
    **dict.fromkeys(("dataset", "datasets"), "dataset"),
}
"""How filters of experiments, runs and logged models name things → what they mean."""
MAX_FILTER = 20_000
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^'\\]|''|\\.)*'|"(?:[^"\\]|""|\\.)*")
    | (?P<number>-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w])
    | (?P<operator><=|>=|!=|<>|=|<|>)
    | (?P<mark>[(),])
    | (?P<name>[A-Za-z_][\w\-/]*(?:\.(?:`[^`]+`|"[^"]+"|[\w\-/.:]+))*|`[^`]+`)
    )""",
    re.VERBOSE,
)
_END = ("end", "")


@dataclass(frozen=True, slots=True)
class Clause:
    """One condition; `value` is text, a number, a tuple of texts (IN, NOT IN) or None (IS NULL, IS NOT NULL)."""

    kind: str
    key: str
    op: str
    """=, !=, <, <=, >, >=, LIKE, ILIKE, RLIKE, IN, NOT IN, IS NULL or IS NOT NULL."""
    value: Any


@dataclass(frozen=True, slots=True)
class Order:
    """One key of an order."""

    kind: str
    key: str
    descending: bool


def _tokens(text: str) -> list[tuple[str, str]]:
    if len(text) > MAX_FILTER:
        raise Invalid(f"The filter is longer than {MAX_FILTER} characters.")
    found: list[tuple[str, str]] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise Invalid(f"The filter cannot be read at {text[at : at + 30].strip()!r}.", hint=_HINT)
        found.append((str(match.lastgroup), match.group(str(match.lastgroup))))
        at = match.end()
    return found


_HINT = "Write for example: metrics.loss < 0.1 AND tags.`my key` = 'x'."


def _name(text: str, entities: Mapping[str, str]) -> tuple[str, str]:
    """Return (kind, key) of `entity.key`, or ("attribute", key)."""
    if text.startswith("`"):
        return "attribute", text[1:-1]
    entity, dot, key = text.partition(".")
    if not dot:
        return "attribute", text
    kind = entities.get(entity.lower())
    if kind is None:
        raise Invalid(f"{entity!r} cannot be searched.", hint=f"Use one of {', '.join(sorted(entities))}.")
    return kind, re.sub(r'[`"]', "", key)


def _literal(token: tuple[str, str]) -> Any:
    kind, raw = token
    if kind == "text":
        quote = raw[0]
        return re.sub(r"\\(.)", r"\1", raw[1:-1].replace(quote * 2, quote))
    if kind == "number":
        return float(raw) if re.search(r"[.eE]", raw) else int(raw)
    if kind == "name" and raw.lower() in ("true", "false"):
        return raw.lower()
    raise Invalid(f"The filter has {raw!r} where a value should be.", hint="Put texts into single quotes.")


class _Parser:
    def __init__(self, text: str, entities: Mapping[str, str]) -> None:
        self.tokens = _tokens(text)
        self.entities = entities
        self.at = 0

    def take(self) -> tuple[str, str]:
        token = self.tokens[self.at] if self.at < len(self.tokens) else _END
        self.at += 1
        return token

    def word(self) -> str:
        """Return the next token in upper case without taking it."""
        return self.tokens[self.at][1].upper() if self.at < len(self.tokens) else ""

    def expect(self, wanted: str) -> None:
        found = self.take()[1]
        if found.upper() != wanted:
            raise Invalid(f"The filter has {found!r} where {wanted} should be.", hint=_HINT)

    def clauses(self) -> tuple[Clause, ...]:
        found: list[Clause] = []
        while self.at < len(self.tokens):
            if found:
                if self.word() == "OR":
                    raise Invalid("Filters know only AND, not OR.", hint="Search twice.")
                self.expect("AND")
            grouped = self.word() == "("
            if grouped:
                self.take()
            found.append(self.clause())
            if grouped:
                self.expect(")")
        return tuple(found)

    def clause(self) -> Clause:
        kind, raw = self.take()
        if kind not in ("name", "text"):
            raise Invalid(f"The filter has {raw!r} where a name should be.", hint=_HINT)
        entity, key = _name(raw, self.entities)
        op_kind, op = self.take()
        upper = op.upper()
        if op_kind == "operator":
            return Clause(entity, key, "!=" if op == "<>" else op, _literal(self.take()))
        if upper in ("LIKE", "ILIKE", "RLIKE"):
            return Clause(entity, key, upper, str(_literal(self.take())))
        if upper == "IS":
            negated = self.word() == "NOT"
            if negated:
                self.take()
            self.expect("NULL")
            return Clause(entity, key, "IS NOT NULL" if negated else "IS NULL", None)
        if upper == "NOT":
            self.expect("IN")
            return Clause(entity, key, "NOT IN", self.items())
        if upper == "IN":
            return Clause(entity, key, "IN", self.items())
        raise Invalid(
            f"{op!r} is not an operator.", hint="Use =, !=, <, <=, >, >=, LIKE, ILIKE, IN or IS NULL."
        )

    def items(self) -> tuple[Any, ...]:
        self.expect("(")
        found = []
        while self.word() != ")":
            found.append(_literal(self.take()))
            if self.word() != ")":
                self.expect(",")
        self.expect(")")
        return tuple(found)


def parse_filter(text: str | None, entities: Mapping[str, str] = RUN_ENTITIES) -> tuple[Clause, ...]:
    """Return the conditions of a filter; raises Invalid that shows where it cannot be read."""
    return _Parser(text or "", entities).clauses()


def parse_order(items: list[str], entities: Mapping[str, str] = RUN_ENTITIES) -> tuple[Order, ...]:
    """Return the keys of an order such as `["metrics.loss ASC", "start_time DESC"]`; raises Invalid."""
    found = []
    for item in items:
        name, descending = item.strip(), False
        match = re.fullmatch(r"(.+?)\s+(asc|desc)", name, re.IGNORECASE | re.DOTALL)
        if match:
            name, descending = match.group(1).strip(), match.group(2).lower() == "desc"
        if not name:
            raise Invalid("An order needs a name, as in `metrics.loss DESC`.")
        kind, key = _name(name, entities)
        found.append(Order(kind, key.strip('"'), descending))
    return tuple(found)


def _pattern(like: str, flags: int) -> re.Pattern[str]:
    parts = ("." if c == "_" else ".*" if c == "%" else re.escape(c) for c in like)
    return re.compile("".join(parts), re.DOTALL | flags)


def _ordered(op: str, left: Any, right: Any) -> bool:
    try:
        left, right = float(left), float(right)
    except (TypeError, ValueError):
        left, right = str(left), str(right)
    return bool({"<": left < right, "<=": left <= right, ">": left > right, ">=": left >= right}[op])


def _equal(left: Any, right: Any) -> bool:
    if isinstance(right, int | float) and not isinstance(right, bool):
        try:
            return float(left) == float(right)
        except (TypeError, ValueError):
            return False
    return str(left) == str(right)


def holds(clause: Clause, value: Any) -> bool:
    """Whether `value` (None: there is none) meets the condition; for things that are not searched by SQL."""
    op, wanted = clause.op, clause.value
    if op in ("IS NULL", "IS NOT NULL"):
        return (value is None) == (op == "IS NULL")
    if value is None:
        return False
    if op in ("=", "!="):
        return _equal(value, wanted) == (op == "=")
    if op in ("IN", "NOT IN"):
        return any(_equal(value, item) for item in wanted) == (op == "IN")
    if op == "RLIKE":
        # A regular expression of a stranger could run for ever; MLflow's clients rarely use it.
        raise Invalid("RLIKE is not supported.", hint="Use LIKE or ILIKE with % and _.")
    if op in ("LIKE", "ILIKE"):
        flags = re.IGNORECASE if op == "ILIKE" else 0
        return _pattern(str(wanted), flags).fullmatch(str(value)) is not None
    return _ordered(op, value, wanted)
