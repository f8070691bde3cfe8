"""All patterns of all guards that hold for a call, as one immutable program: one scan tells whether any can hit.

Finds of guards that change text (mask, tokenise) do not overlap: where they would, the guard that is earlier in the
order wins, within a guard the rule that is listed earlier. Guards that block or flag count their finds for themselves.
"""

import unicodedata
from bisect import bisect_left, insort
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import re2
from re2 import _re2

from penstock.core.errors import Invalid
from penstock.guardrails.ahead import beginnings, widest
from penstock.guardrails.building import Entry
from penstock.guardrails.model import Action, Stage
from penstock.guardrails.ports import DocumentGuard, PatternGuard, RemoteGuard, Rule, TextGuard, WatchGuard
from penstock.guardrails.tokens import TOKEN

MAX_MEMORY = 64 << 20
BEHIND = 16
"""Characters before a place that a pattern may look at."""
AHEAD_COST = 100_000
"""Characters of the expression of beginnings from which on rules of bounded width are not part of it."""
MAX_AHEAD_COST = 300_000
MAX_INSTRUCTIONS = 500_000
"""Of all patterns, as RE2 compiles them."""
_UNANCHORED = _re2.RE2.Anchor.UNANCHORED
_CHANGING = frozenset({Action.MASK, Action.TOKENISE})
_UNSEEN = dict.fromkeys([0xAD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, *range(0xE0000, 0xE0080)])
"""Characters that show nothing and are put between letters to hide words: soft hyphen, zero-width ones, tags."""
_COMPATIBLE = (
    r"\x{2B0}-\x{2E4}\x{300}-\x{36F}\x{1D2C}-\x{1D6A}\x{2070}-\x{209C}\x{2100}-\x{214F}\x{2160}-\x{2188}"
    r"\x{2460}-\x{24FF}\x{3200}-\x{33FF}\x{F900}-\x{FAFF}\x{FB00}-\x{FB4F}\x{FF03}\x{FF0F}-\x{FF19}"
    r"\x{FF1C}-\x{FF1E}\x{FF21}-\x{FF3D}\x{FF41}-\x{FF5E}\x{FF66}-\x{FF9F}\x{1D400}-\x{1D7FF}\x{1F100}-\x{1F1FF}"
)
"""Characters that stand for letters and signs of others; not the punctuation that East Asian texts are full of."""
_disguise = re2.compile(rf"[{''.join(map(chr, _UNSEEN))}{_COMPATIBLE}]|[A-Za-z]\x{{FF1A}}")._regexp


class Bound(NamedTuple):
    """A rule at its place; `entry` is None for the rule that puts originals back."""

    order: int
    rule: Rule
    entry: Entry | None


class Raw(NamedTuple):
    """What a pattern matched: `end` is the match's, `kept` the find's (= start: the check refused it)."""

    start: int
    end: int
    kept: int
    bound: Bound


class Edit(NamedTuple):
    """A find that changes text."""

    start: int
    end: int
    bound: Bound


class Found(NamedTuple):
    """What a text holds: what to change, and all finds to take note of."""

    edits: list[Edit]
    notes: list[Raw]


_PROBE = b"penstock-probe-9f1c4e77a2"
"""In every set, so that one that does not work shows."""


def _too_much(bounds: Sequence[Bound]) -> Invalid:
    return Invalid(
        f"The guards' {len(bounds)} patterns are too many or too large to be looked for at once.",
        hint="Use fewer or shorter patterns, or a guard of your own behind http.",
    )


def _opened(bounds: Sequence[Bound]) -> tuple[list[str], int]:
    """Return the beginnings of what could match, and how many last characters are undecided anyway.

    The expression of all beginnings must stay small to be fast; of rules beyond that, only the width counts.
    """
    parts: list[str] = []
    tail = cost = instructions = 0
    for bound in bounds:
        rule, flags = bound.rule, _flags(bound.rule)
        engine = getattr(rule.exact, "_regexp", None)
        instructions += engine.ProgramSize() if engine is not None else len(rule.exact.pattern)
        if instructions > MAX_INSTRUCTIONS:
            raise _too_much(bounds)
        width = widest(rule.exact.pattern, flags) if cost > AHEAD_COST else None
        if width is not None:
            tail = max(tail, width + BEHIND)
            continue
        part = beginnings(rule.exact.pattern, flags)
        cost += len(part)
        if cost > MAX_AHEAD_COST:
            raise _too_much(bounds)
        parts.append(part)
    return parts, tail


def _options() -> re2.Options:
    options = re2.Options()
    options.max_mem = MAX_MEMORY
    options.log_errors = False
    return options


def hidden(text: str) -> str:
    """Return `text` with compatible letters made plain (NFKC) and unseen ones taken out; itself when it has none."""
    data = text.encode(errors="replace")
    if _disguise.Match(_UNANCHORED, data, 0, len(data))[0][0] < 0:
        return text
    return unicodedata.normalize("NFKC", text.translate(_UNSEEN))


class Program:
    """The guards of one stage."""

    __slots__ = (
        "_open", "_set", "_tail", "bounds", "broken",
        "documents", "entries", "judges", "remotes", "restores", "scored", "stage",
        "watches",
    )  # fmt: skip

    def __init__(self, entries: Iterable[Entry], stage: Stage, *, restores: bool = False) -> None:
        """`restores` adds the rule by which stand-ins are found in answers."""
        self.stage = stage
        self.restores = restores
        self.entries = tuple(entry for entry in entries if entry.stage.covers(stage))
        self.broken = tuple(entry for entry in self.entries if entry.guard is None)
        self.documents = tuple(e for e in self.entries if isinstance(e.guard, DocumentGuard))
        self.judges = tuple(e for e in self.entries if isinstance(e.guard, TextGuard))
        self.watches = tuple(e for e in self.entries if isinstance(e.guard, WatchGuard))
        self.remotes = tuple(e for e in self.entries if isinstance(e.guard, RemoteGuard))
        self.bounds = tuple(self._bounds())
        self.scored = any(b.entry is not None and b.entry.guard.threshold > 0 for b in self.bounds)
        self._set = re2.Set.SearchSet(_options())
        for bound in self.bounds:
            self._set.Add(bound.rule.prefilter)
        self._set.Add(_PROBE.decode())
        self._set.Compile()
        parts, self._tail = _opened(self.bounds)
        try:
            self._open = re2.compile(f"(?:{'|'.join(parts)})\\z", _options())._regexp
        except re2.error as error:
            raise _too_much(self.bounds) from error
        # A set that is too large for its memory finds nothing, and says so nowhere.
        if not self._set.Match(_PROBE):
            raise _too_much(self.bounds)

    def _bounds(self) -> Iterable[Bound]:
        order = 0
        if self.restores:
            yield Bound(order, Rule("restore", TOKEN, re2.compile(TOKEN)), None)
        for entry in self.entries:
            if isinstance(entry.guard, PatternGuard):
                for rule in entry.guard.rules:
                    order += 1
                    yield Bound(order, rule, entry)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do at all."""
        return not self.entries and not self.restores

    def touches(self, data: bytes) -> bool:
        """Whether any guard of texts may find something in `data`: one pass over it."""
        return bool(self.watches) or self.hits(data)

    def hits(self, data: bytes) -> bool:
        """Whether any pattern may hit in `data`: one pass over it."""
        return bool(self.bounds) and bool(self._set.Match(data))

    def undecided(self, data: bytes) -> int:
        """Return the first byte of `data` from which a match could go on beyond its end; its length when none can."""
        if not self.bounds:
            return len(data)
        place: int = self._open.Match(_UNANCHORED, data, 0, len(data))[0][0]
        end = place if place >= 0 else len(data)
        if not self._tail:
            return end
        return min(end, max(0, len(data) - (self._tail if data.isascii() else 4 * self._tail)))

    def raws(self, text: str, data: bytes, *, start: int = 0, role: str = "") -> list[Raw]:
        """Return what the patterns match in `text` (`data` is its UTF-8) from `start` on, in the rules' order."""
        found: list[Raw] = []
        for index in sorted(self._set.Match(data) or ()):
            if index == len(self.bounds):
                continue
            bound = self.bounds[index]
            entry = bound.entry
            if role and entry is not None and entry.guard.roles and role not in entry.guard.roles:
                continue
            for match in bound.rule.exact.finditer(text, start):
                first, last = match.span()
                if last > first:
                    kept = first + bound.rule.check(text[first:last])
                    found.append(Raw(first, last, kept, bound))
        return found

    def find(self, text: str, *, role: str = "", tokens: Mapping[str, str] | None = None) -> Found | None:
        """Return what a whole text holds; None when it is clean."""
        data = text.encode(errors="replace")
        raws = self.raws(text, data, role=role) if self._set.Match(data) else []
        if self.scored and not text.isascii() and (plain := hidden(text)) != text:
            known = {raw.bound for raw in raws}
            disguised = self.raws(plain, plain.encode(errors="replace"), role=role)
            # Finds in the plain form have no place in the text itself: only guards that count use them.
            raws += [
                Raw(0, 0, 1, raw.bound)
                for raw in disguised
                if raw.bound not in known and raw.bound.entry and raw.bound.entry.guard.threshold
            ]
        if not raws:
            return None
        found = settle(raws, text, tokens or {})
        return found if found.edits or found.notes else None


def _flags(rule: Rule) -> int:
    flags = getattr(rule.exact, "flags", 0)
    return int(flags) & ~32 if isinstance(flags, int) else 0


def settle(raws: Sequence[Raw], text: str, tokens: Mapping[str, str]) -> Found:
    """Return which matches count, overlaps settled by order."""
    edits: list[Edit] = []
    notes: list[Raw] = []
    own: dict[Entry, list[tuple[int, int]]] = {}
    for raw in raws:
        if raw.kept <= raw.start:
            continue
        entry = raw.bound.entry
        if entry is None:
            if text[raw.start : raw.end] in tokens:
                _fit(edits, Edit(raw.start, raw.kept, raw.bound))
        elif entry.action in _CHANGING:
            if _fit(edits, Edit(raw.start, raw.kept, raw.bound)):
                notes.append(raw)
        elif entry.guard.threshold or _free(own.setdefault(entry, []), raw):
            notes.append(raw)
    return Found(edits, notes)


def _fit(kept: list[Edit], edit: Edit) -> bool:
    place = bisect_left(kept, edit)
    if place and kept[place - 1].end > edit.start:
        return False
    if place < len(kept) and edit.end > kept[place].start:
        return False
    kept.insert(place, edit)
    return True


def _free(taken: list[tuple[int, int]], raw: Raw) -> bool:
    span = (raw.start, raw.kept)
    place = bisect_left(taken, span)
    if place and taken[place - 1][1] > raw.start:
        return False
    if place < len(taken) and raw.kept > taken[place][0]:
        return False
    insort(taken, span)
    return True


def combined(scores: Iterable[float]) -> float:
    """Return the score of several signs together: 1 - (1 - a)(1 - b)…"""
    left = 1.0
    for score in scores:
        left *= 1.0 - min(1.0, max(0.0, score))
    return 1.0 - left
