"""Find and mask: one RE2 set says which rules can hit, only those run, checksums confirm.

RE2 runs in linear time whatever the text, and one pass over all prefilters is what makes clean text cheap.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import re2

from penstock.core.errors import Invalid
from penstock.core.pii.rules import RULES, PiiKind
from penstock.core.suggest import did_you_mean


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A find: characters `start` (included) to `end` (excluded) of the text."""

    start: int
    end: int
    kind: PiiKind


def placeholder(kind: PiiKind) -> str:
    """Return what stands in place of a find, for example `[EMAIL]`."""
    return f"[{kind.upper()}]"


class Detector:
    """Finds the given kinds (default: all); immutable, may be shared by threads."""

    def __init__(self, kinds: Iterable[str] | None = None) -> None:
        wanted = _kinds(kinds)
        self.kinds = tuple(kind for kind in PiiKind if kind in wanted)
        self._rules = tuple(rule for rule in RULES if rule.kind in wanted)
        self._prefilter = re2.Set.SearchSet()
        for rule in self._rules:
            self._prefilter.Add(rule.prefilter)
        self._prefilter.Compile()

    def find(self, text: str) -> list[Finding]:
        """Return the finds in `text`, in order, none overlapping."""
        hits = self._prefilter.Match(text.encode(errors="replace"))
        if not hits:
            return []
        found: list[Finding] = []
        for index in sorted(hits):
            rule = self._rules[index]
            for match in rule.exact.finditer(text):
                length = rule.check(match.group())
                if length:
                    found.append(Finding(match.start(), match.start() + length, rule.kind))
        return _without_overlaps(found)

    def count(self, text: str) -> dict[str, int]:
        """Return kind → number of finds."""
        return dict(Counter(str(finding.kind) for finding in self.find(text)))

    def redact(self, text: str) -> tuple[str, dict[str, int]]:
        """Return `text` with each find replaced by its placeholder, and kind → number replaced.

        Redacting twice changes nothing more than redacting once.
        """
        found = self.find(text)
        if not found:
            return text, {}
        parts, position = [], 0
        for finding in found:
            parts += [text[position : finding.start], placeholder(finding.kind)]
            position = finding.end
        parts.append(text[position:])
        return "".join(parts), dict(Counter(str(finding.kind) for finding in found))


def _kinds(kinds: Iterable[str] | None) -> frozenset[PiiKind]:
    if kinds is None:
        return frozenset(PiiKind)
    wanted = set()
    for kind in kinds:
        if kind not in list(PiiKind):
            raise Invalid(
                f"There is no kind of personal data {kind!r}.", hint=did_you_mean(kind, map(str, PiiKind))
            )
        wanted.add(PiiKind(kind))
    return frozenset(wanted)


def _without_overlaps(found: list[Finding]) -> list[Finding]:
    """Keep the find of the earlier rule wherever two overlap."""
    if len(found) < 2:
        return found
    kept: list[Finding] = []
    for finding in found:
        place = bisect_left(kept, finding)
        before_ends = place == 0 or kept[place - 1].end <= finding.start
        if before_ends and (place == len(kept) or finding.end <= kept[place].start):
            kept.insert(place, finding)
    return kept
