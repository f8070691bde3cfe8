"""A text that comes in pieces: how far it is decided, and what was found there.

For any text and any pieces, what a channel finds is what `Program.find` finds in the whole (up to `MAX_HELD` characters
that are undecided at once).
"""

from penstock.guardrails.building import Entry
from penstock.guardrails.checking import Checker
from penstock.guardrails.program import BEHIND, Edit, Found, Raw, settle

MAX_HELD = 16_384
"""Undecided characters that are kept at most; a longer beginning of a match is judged as it stands."""


class Channel:
    """One text of a stream. Places are characters from the beginning of the text."""

    __slots__ = ("_behind", "_checker", "_held", "_signs", "_watches", "edits", "safe", "total")

    def __init__(self, checker: Checker) -> None:
        self._checker = checker
        self._behind = ""
        self._held = ""
        self._watches = checker.watches()
        self._signs: dict[Entry, dict[str, float]] = {}
        self.total = 0
        """Characters that came so far."""
        self.safe = 0
        """Characters that are decided: everything found in them is known."""
        self.edits: list[tuple[int, int, str, Edit]] = []
        """(start, end, original, find) of what has to change, in order; the owner takes them out when done."""

    @property
    def held(self) -> int:
        """Characters that wait."""
        return len(self._held)

    def feed(self, piece: str) -> None:
        """Take a piece in."""
        self.total += len(piece)
        self._held += piece
        text = self._behind + self._held
        data = text.encode(errors="replace")
        program, behind = self._checker.program, len(self._behind)
        at = program.undecided(data)
        limit = max(behind, at if len(data) == len(text) else len(data[:at].decode(errors="ignore")))
        if len(self._held) > MAX_HELD:
            limit = len(text)
        if program.hits(data):
            self._settle(text, data, limit)
        else:
            self._advance(text, limit)

    def finish(self) -> None:
        """Decide what is left: nothing more comes."""
        if self._held:
            text = self._behind + self._held
            self._settle(text, text.encode(errors="replace"), len(text))
        for entry, watch in self._watches:
            self._checker.watched(entry, watch, "", last=True)
        self._watches = []

    def _settle(self, text: str, data: bytes, limit: int) -> None:
        raws = self._checker.program.raws(text, data, start=len(self._behind))
        raws = [raw for raw in raws if raw.start < limit] if limit < len(text) else raws
        # A place inside a match is no place to cut: what overlaps it further on is not known yet.
        cut = limit
        while (inside := min((r.start for r in raws if r.start < cut < r.end), default=cut)) < cut:
            cut = inside
        decided = [raw for raw in raws if raw.start < cut]
        if decided:
            self._take(text, decided)
        self._advance(text, cut)

    def _take(self, text: str, raws: list[Raw]) -> None:
        found: Found = settle(raws, text, self._checker.tokens.originals)
        if found.notes:
            self._checker.take(found, text, self._signs)
        offset = self.safe - len(self._behind)
        for edit in found.edits:
            self.edits.append((edit.start + offset, edit.end + offset, text[edit.start : edit.end], edit))

    def _advance(self, text: str, cut: int) -> None:
        self.safe += cut - len(self._behind)
        for entry, watch in self._watches if cut > len(self._behind) else ():
            self._checker.watched(entry, watch, text[len(self._behind) : cut])
        self._behind = text[max(0, cut - BEHIND) : cut]
        self._held = text[cut:]
