"""How a question about sums becomes SQL: which rows of the roll-ups answer it, and which single spans."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock.traces.model import METADATA, STATUSES, SeriesFilters
from penstock.traces.store.folding import CACHE, DAY, DIMENSIONS, HOUR, OLD, SUMS
from penstock.traces.store.prepare import CALL_KINDS, ERROR, KIND_CODES, STATUS_CODES, clean_label

NS = 1_000_000_000
_CALLS = ", ".join(str(code) for code in sorted(CALL_KINDS))
_STATUS_NAMES = " ".join(f"WHEN {code} THEN '{name}'" for code, name in enumerate(STATUSES))
_COLUMNS = {name: name for name in DIMENSIONS if name} | {"key": "key_id", "user": '"user"'}
"""Dimension → column of a span."""

ROW_SUMS = (
    f"1 AS calls, CASE WHEN s.status = {ERROR} THEN 1 ELSE 0 END AS errors, s.input_tokens, s.output_tokens, "
    "s.cached_tokens, s.cache_write_tokens, s.reasoning_tokens, coalesce(s.cost_nano, 0) AS cost_nano, "
    "CASE WHEN s.cost_nano IS NULL THEN 1 ELSE 0 END AS unpriced, (s.end_ns - s.start_ns) / 1000 AS latency_us, "
    f"CASE WHEN s.price_version = '{CACHE}' THEN 1 ELSE 0 END AS cache_hits"
)
"""A span as one row of sums."""

FOREVER = 1 << 62
_ENTRIES = "traces_facet_names n JOIN traces_facets g ON g.facet = n.id"


def keyed(group: str) -> bool:
    """Whether calls are grouped by what their traces carry: those groups overlap, and no roll-up has them."""
    return group in ("tag", "session") or group.startswith(METADATA)


def _single_group(group: str) -> str:
    if group in ("kind", "status"):
        return "s.kind" if group == "kind" else f"CASE s.status {_STATUS_NAMES} END"
    if group == "project":
        return "s.scope_id"
    if group == "day":
        return f"s.start_ns / {NS} - s.start_ns / {NS} % {DAY}"
    if keyed(group):
        return "n.value"
    return f"coalesce(s.{_COLUMNS[group]}, '')" if group else "''"


@dataclass(slots=True)
class Cut:
    """One question: whose spans (`scopes`), grouped how ("" is all together), and which of them."""

    scopes: Sequence[int]
    group: str
    filters: SeriesFilters
    values: dict[str, Any] = field(default_factory=dict)
    """Parameters of the conditions."""
    dimension: int | None = None
    """Which roll-up answers; None when none does, and single spans must."""
    rolled: str = ""
    """Condition on rows of that roll-up (r)."""
    single: str = ""
    """Condition on spans (s)."""
    among: Sequence[str] | None = None
    """Of a `keyed` group only the calls of traces that carry one of these, each once and all together."""
    carried: list[str] = field(default_factory=list)
    """Conditions on entries `n` of the side table, each of which the trace of a span must meet."""
    tables: str = ""
    """What stands before the spans where they are found by what their traces carry."""

    def __post_init__(self) -> None:
        named = {
            name: value
            for name in DIMENSIONS
            if name and (value := getattr(self.filters, name, None)) is not None
        }
        needed = set(named) | ({self.group} & set(DIMENSIONS) - {""})
        scopes = ", ".join(str(int(number)) for number in self.scopes) or "-1"
        self._carried(scopes)
        if len(needed) <= 1 and not self.carried:
            self.dimension = DIMENSIONS[next(iter(needed), "")]
        if self.dimension == DIMENSIONS["user"] and self.filters.kind not in (None, "llm", "embedding"):
            self.dimension = None
        self.rolled = f"r.scope_id IN ({scopes})"
        # The plus keeps the planner on the row number or the time, whichever the source names.
        self.single = f"+s.scope_id IN ({scopes}) AND s.duplicate_of IS NULL"
        self._kinds()
        for name, value in named.items():
            self.rolled += f" AND r.value = :{name}"
            self.single += f" AND s.{_COLUMNS[name]} = :{name}"
            self.values[name] = value
        if "status" in named:
            self.single = self.single.replace(":status", ":status_code")
            self.values["status_code"] = STATUS_CODES[named["status"]]
        if self.carried:
            self._joined()
        if self.group == "user":
            self.single += ' AND s."user" IS NOT NULL'

    def _kinds(self) -> None:
        if self.filters.kind is not None:
            self.values["kind"] = KIND_CODES[self.filters.kind]
            self.rolled += " AND r.kind = :kind"
            self.single += " AND s.kind = :kind"
        elif self.group != "kind":
            self.rolled += f" AND r.kind IN ({_CALLS})"
            self.single += f" AND s.kind IN ({_CALLS})"

    def _carried(self, scopes: str) -> None:
        wanted: dict[str, list[str] | None] = {}
        if keyed(self.group):
            wanted[self.group] = None if self.among is None else list(self.among)
        for key in ("tag", "session"):
            if (value := getattr(self.filters, key)) is not None:
                wanted[key] = [value]
        wanted |= {METADATA + key: [value] for key, value in self.filters.metadata.items()}
        for place, (key, values) in enumerate(wanted.items()):
            condition = f"n.scope_id IN ({scopes}) AND n.key = :key{place}"
            self.values[f"key{place}"] = clean_label(key)
            if values is not None:
                names = [f"key{place}_{number}" for number in range(len(values))]
                condition += f" AND n.value IN ({', '.join(f':{name}' for name in names)})"
                self.values |= {name: clean_label(value) for name, value in zip(names, values, strict=True)}
            self.carried.append(condition)

    def _joined(self) -> None:
        """Find spans by the first of what their traces must carry, and try the others."""
        first, *others = self.carried
        if keyed(self.group) and self.among is None:
            self.tables = _ENTRIES
            self.single += f" AND {first}"
        else:
            # A trace that carries several of them counts once.
            self.tables = f"(SELECT DISTINCT g.at_ms, g.trace FROM {_ENTRIES} WHERE {first}) g"
        for condition in others:
            self.single += f" AND s.trace IN (SELECT g.trace FROM {_ENTRIES} WHERE {condition})"

    @property
    def _longest(self) -> str:
        """Return how many milliseconds the longest trace lasts, as SQL that the index by length answers."""
        each = " UNION ALL ".join(
            f"SELECT max(duration_ns) AS ns FROM traces_traces WHERE scope_id = {int(number)}"
            for number in self.scopes or (-1,)
        )
        return f"(SELECT coalesce(max(ns), 0) / 1000000 FROM ({each}) AS longest)"

    @property
    def mark(self) -> str:
        """Up to which row the roll-up answers, as SQL."""
        name = "rolled" if self.dimension in OLD else "gathered"
        return f"(SELECT value FROM traces_marks WHERE name = '{name}')"

    @property
    def rolled_group(self) -> str:
        """How a row of the roll-up is grouped, as SQL."""
        if self.group == "day":
            return f"r.bucket - r.bucket % {DAY}"
        return {"kind": "r.kind", "project": "r.scope_id", "": "''"}.get(self.group, "r.value")

    @property
    def single_group(self) -> str:
        """How a span is grouped, as SQL."""
        return "''" if self.among is not None else _single_group(self.group)

    def from_rollup(self, columns: str, grain: int, low: str, high: str) -> str:
        """Return a SELECT of the roll-up's rows of a grain, from bucket :low to before :high."""
        return (
            f"SELECT {columns} FROM traces_sums r WHERE {self.rolled} AND r.dimension = {self.dimension} "
            f"AND r.grain = {grain} AND r.bucket >= :{low} AND r.bucket < :{high}"
        )

    def from_time(self, columns: str, low: str, high: str) -> str:
        """Return a SELECT of spans that started from :low to before :high, found by time."""
        if self.tables:
            # Where a trace stands, its first part began that arrived; a span may begin before it, and any time after.
            times = f"g.at_ms < :{high} / 1000000 + 1 + {self._longest} "
            times += f"AND +s.start_ns >= :{low} AND +s.start_ns < :{high}"
            tables = f"{self.tables} JOIN traces_spans s ON s.trace = g.trace"
            return f"SELECT {columns} FROM {tables} WHERE {self.single} AND {times}"
        condition = self.single.replace("+s.scope_id", "s.scope_id", 1)
        times = f"s.start_ns >= :{low} AND s.start_ns < :{high}"
        return f"SELECT {columns} FROM traces_spans s WHERE {condition} AND {times}"

    def above_mark(self, columns: str, low: str, high: str) -> str:
        """Return a SELECT of the spans that the roll-up does not know yet: few, at any time."""
        return (
            f"SELECT {columns} FROM traces_spans s WHERE s.id > {self.mark} AND +s.start_ns >= :{low} "
            f"AND +s.start_ns < :{high} AND {self.single}"
        )


class Range:
    """A time range cut into whole days, whole hours and the edges that only single spans can answer."""

    def __init__(self, since_ns: int | None, until_ns: int | None) -> None:
        self.since, self.until = since_ns or 0, FOREVER if until_ns is None else until_ns
        hours = (-(-self.since // (HOUR * NS)) * HOUR, self.until // (HOUR * NS) * HOUR)
        days = (-(-hours[0] // DAY) * DAY, hours[1] // DAY * DAY)
        self.values: dict[str, int] = {"since": self.since, "until": self.until}
        self.whole: list[tuple[int, str, str]] = []
        self.edges: list[tuple[str, str]] = []
        if hours[0] >= hours[1]:
            self._edge("e0", self.since, self.until)
            return
        self._edge("e0", self.since, hours[0] * NS)
        self._edge("e1", hours[1] * NS, self.until)
        if days[0] >= days[1]:
            self._whole(HOUR, "h0", hours[0], hours[1])
            return
        self._whole(HOUR, "h0", hours[0], days[0])
        self._whole(DAY, "d0", days[0], days[1])
        self._whole(HOUR, "h1", days[1], hours[1])

    def _edge(self, name: str, low: int, high: int) -> None:
        if low < high and high < FOREVER + 1 and not (name == "e1" and self.until == FOREVER):
            self.edges.append((f"{name}_low", f"{name}_high"))
            self.values |= {f"{name}_low": low, f"{name}_high": high}

    def _whole(self, grain: int, name: str, low: int, high: int) -> None:
        if low < high:
            self.whole.append((grain, f"{name}_low", f"{name}_high"))
            self.values |= {f"{name}_low": low, f"{name}_high": high}

    def sources(self, cut: Cut, rolled: str, single: str) -> list[str]:
        """Return the SELECTs that answer `cut` exactly: `rolled` columns of roll-ups, `single` columns of spans."""
        if cut.dimension is None:
            return [cut.from_time(single, "since", "until")]
        parts = [cut.from_rollup(rolled, grain, low, high) for grain, low, high in self.whole]
        parts += [f"{cut.from_time(single, low, high)} AND s.id <= {cut.mark}" for low, high in self.edges]
        return [*parts, cut.above_mark(single, "since", "until")]


ROLLED_SUMS = ", ".join(f"r.{name}" for name in SUMS)
