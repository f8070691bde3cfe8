"""How groups fare in a set of rows: who is there, how often each gets the label, whom the texts speak of.

Rates carry Wilson's 95 % interval (Wilson 1927, JASA 22). `ratio` is the lowest rate over the highest; below 0.8 the
four-fifths rule of the US Uniform Guidelines (29 CFR 1607.4 D) sees adverse impact. `gap` is the highest rate less
the lowest: demographic parity (Dwork et al. 2012). These are counts of the data, not a judgement on its use.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.core.suggest import did_you_mean
from penstock.datasets import service
from penstock.datasets.model import Row
from penstock.datasets.swaps import LISTS, Swapper
from penstock.datasets.text import text_of

MOST_GROUPS = 1000
_Z = 1.959963984540054
_FOUR_FIFTHS = 0.8
_PAIRS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to look at."""

    group: str | None = None
    """Column that names each row's group."""
    label: str | None = None
    positive: str | None = None
    """Value of `label` that counts; numbers and booleans as JSON writes them."""
    weight: str | None = None
    """Column of weights; rows count once without it."""
    columns: tuple[str, ...] = ()
    """Text columns for mentions and counterfactual pairs; empty: all text but group and label."""
    lists: tuple[str, ...] = ("gender",)


@dataclass
class _Group:
    rows: int = 0
    weight: float = 0.0
    positive: int = 0
    positive_weight: float = 0.0
    labels: Counter[str] = field(default_factory=Counter)


def wilson(hits: float, count: float) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a rate of `hits` in `count`."""
    if count <= 0:
        return 0.0, 1.0
    rate, square = hits / count, _Z * _Z
    middle = (rate + square / (2 * count)) / (1 + square / count)
    reach = _Z / (1 + square / count) * (rate * (1 - rate) / count + square / (4 * count * count)) ** 0.5
    return max(0.0, middle - reach), min(1.0, middle + reach)


def examine(home: Home, actor: Actor, ref: str, asked: Question) -> dict[str, Any]:
    """Return the report on the version `ref` (see report); raises NotFound, Invalid for a missing column."""
    with home.read() as uow:
        version = service.resolve(uow, actor, ref)
    known = [column.name for column in version.schema]
    for name in (asked.group, asked.label, asked.weight, *asked.columns):
        if name is not None and name not in known:
            raise Invalid(f"{version.ref} has no column {name!r}.", hint=did_you_mean(name, known))
    if asked.label is not None and asked.positive is None:
        raise Invalid("Say which value of the label counts.", hint="Name it as positive.")
    for name in asked.lists:
        if name not in LISTS:
            raise Invalid(f"Unknown swap list {name!r}.", hint=did_you_mean(name, LISTS))
    return {"ref": version.ref, **report(service.rows(home, actor, version.ref), asked)}


def report(rows: Iterable[Row], asked: Question) -> dict[str, Any]:
    """Return JSON: `rows`, `groups` (rows, share, rate with interval), `gap`, `ratio`, `mentions`, `pairs`.

    Rows are read once; raises Invalid beyond 1,000 groups.
    """
    groups: defaultdict[str, _Group] = defaultdict(_Group)
    speech = _Speech(asked)
    count = 0
    for row in rows:
        count += 1
        speech.add(row)
        if asked.group is None:
            continue
        _add(groups[_shown(row.get(asked.group))], row, asked)
        if len(groups) > MOST_GROUPS:
            raise Invalid(
                f"{asked.group} has more than {MOST_GROUPS:,} values.", hint="Choose a column of few values."
            )
    return {"rows": count, **_rates(groups, asked), **speech.told()}


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _add(group: _Group, row: Row, asked: Question) -> None:
    given = row.get(asked.weight) if asked.weight else 1
    if isinstance(given, bool) or not isinstance(given, int | float) or given < 0:
        raise Invalid(f"The weight {given!r} is no number from 0 on.", hint="Repair the column.")
    group.rows += 1
    group.weight += given
    if asked.label is not None:
        label = _shown(row.get(asked.label))
        group.labels[label] += 1
        if label == asked.positive:
            group.positive += 1
            group.positive_weight += given


def _rates(groups: Mapping[str, _Group], asked: Question) -> dict[str, Any]:
    total = sum(group.weight for group in groups.values())
    shown = []
    for name, group in sorted(groups.items(), key=lambda item: (-item[1].rows, item[0])):
        one: dict[str, Any] = {
            "group": name,
            "rows": group.rows,
            "share": round(group.weight / total, 6) if total else 0.0,
        }
        if asked.label is not None:
            rate = group.positive_weight / group.weight if group.weight else 0.0
            low, high = wilson(rate * group.rows, group.rows)
            one |= {"positive": group.positive, "rate": round(rate, 6)}
            one |= {"low": round(low, 6), "high": round(high, 6)}
        shown.append(one)
    found: dict[str, Any] = {"groups": shown}
    if asked.label is not None and len(shown) > 1:
        rates = [one["rate"] for one in shown]
        ratio = min(rates) / max(rates) if max(rates) else 1.0
        found |= {
            "gap": round(max(rates) - min(rates), 6),
            "ratio": round(ratio, 6),
            "four_fifths": ratio >= _FOUR_FIFTHS,
        }
    return found


class _Speech:
    """Which sides of the swap lists texts mention, and how a few would read swapped."""

    def __init__(self, asked: Question) -> None:
        self._asked = asked
        self._swapper = Swapper(asked.lists)
        self._sides = {
            word: (name, side)
            for name in asked.lists
            for pair in LISTS[name]
            for side, word in zip(("first", "second"), pair, strict=True)
        }
        if "gender" in asked.lists:
            self._sides |= {"his": ("gender", "first"), "him": ("gender", "first")}
            self._sides |= {"her": ("gender", "second"), "hers": ("gender", "second")}
        self._words = {name: Counter[str]() for name in asked.lists}
        self._rows = {name: Counter[str]() for name in asked.lists}
        self._pairs: list[dict[str, str]] = []
        self._changed = 0

    def add(self, row: Row) -> None:
        """Look at a row."""
        asked = self._asked
        apart = {asked.group, asked.label}
        columns = asked.columns or tuple(name for name in row if name not in apart)
        text = text_of(row, columns) if columns else ""
        seen: set[tuple[str, str]] = set()
        for word in Swapper.words(text):
            side = self._sides.get(word)
            if side is not None:
                self._words[side[0]][side[1]] += 1
                seen.add(side)
        for name, which in seen:
            self._rows[name][which] += 1
        if seen:
            self._changed += 1
            if len(self._pairs) < _PAIRS:
                self._pairs.append({"text": text[:200], "swapped": self._swapper.swap(text[:200])})

    def told(self) -> dict[str, Any]:
        """Return the part of the report on texts."""
        mentions = {
            name: {
                "words": {side: self._words[name][side] for side in ("first", "second")},
                "rows": {side: self._rows[name][side] for side in ("first", "second")},
                "of": f"{LISTS[name][0][0]} / {LISTS[name][0][1]} and {len(LISTS[name]) - 1} more pairs",
            }
            for name in self._asked.lists
        }
        return {"mentions": mentions, "pairs": {"rows": self._changed, "examples": self._pairs}}


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return `{figure: [before, after]}` of two reports on the same question."""
    names: Sequence[str] = [name for name in ("rows", "gap", "ratio") if name in before and name in after]
    found: dict[str, Any] = {name: [before[name], after[name]] for name in names}
    sides = [{one["group"]: one for one in report["groups"]} for report in (before, after)]
    for figure in ("share", "rate"):
        found[figure] = {
            group: [side.get(group, {}).get(figure) for side in sides]
            for group in dict.fromkeys([*sides[0], *sides[1]])
        }
    found["mentions"] = [report["mentions"] for report in (before, after)]
    return found
