"""One side of one call in front of its guards: texts in, texts out, verdicts in the tally."""

from collections.abc import Sequence

import msgspec

from penstock.core import log
from penstock.core.errors import PenstockError
from penstock.guardrails.building import Entry
from penstock.guardrails.model import About, Action, Document, Hit, Outcome, Stage
from penstock.guardrails.ports import Transport, Watch
from penstock.guardrails.program import Edit, Found, Program, Raw, combined
from penstock.guardrails.tally import Tally
from penstock.guardrails.tokens import Tokens

_log = log.get("guardrails")
_encode = msgspec.json.encode


class Checker:
    """Runs a program over the texts of one side of a call. Not shared between calls."""

    __slots__ = ("about", "program", "tally", "tokens")

    def __init__(self, program: Program, about: About, tokens: Tokens) -> None:
        self.program = program
        self.about = about
        self.tokens = tokens
        self.tally = Tally(program.stage)
        for entry in program.broken:
            self.tally.failed(entry, "unavailable")

    # -- patterns ------------------------------------------------------------------------------------------

    def text(self, text: str, *, role: str = "", source: bool = False) -> str:
        """Return `text` as the patterns' guards let it pass; `source` says that it is JSON source, not text."""
        if not text:
            return text
        for entry, watch in self.watches():
            self.watched(entry, watch, text, last=True)
        found = self.program.find(text, role=role, tokens=self.tokens.originals)
        if found is None:
            return text
        self.take(found, text)
        return self.edited(text, found.edits, source=source)

    def edited(self, text: str, edits: Sequence[Edit], *, source: bool = False) -> str:
        """Return `text` with its finds replaced."""
        parts, position = [], 0
        for edit in edits:
            parts += [
                text[position : edit.start],
                self.instead(edit, text[edit.start : edit.end], source=source),
            ]
            position = edit.end
        return "".join([*parts, text[position:]])

    def instead(self, edit: Edit, original: str, *, source: bool = False) -> str:
        """Return what stands in place of a find."""
        entry, rule = edit.bound.entry, edit.bound.rule
        if entry is None:
            back = self.tokens.originals[original]
            return _encode(back).decode()[1:-1] if source else back
        if entry.action is Action.TOKENISE and self.program.stage is Stage.INPUT:
            # Originals are kept as text: what is taken out of JSON source goes back escaped, once.
            return self.tokens.token(rule.name, _unescaped(original) if source else original)
        return f"[{rule.name.upper()}]"

    def take(self, found: Found, text: str, seen: dict[Entry, dict[str, float]] | None = None) -> None:
        """Take note of finds; `seen` keeps the signs of one text that comes in pieces."""
        signs: dict[Entry, dict[str, float]] = {} if seen is None else seen
        scored: set[Entry] = set()
        for raw in found.notes:
            entry = raw.bound.entry
            assert entry is not None
            if entry.guard.threshold:
                signs.setdefault(entry, {})[raw.bound.rule.name] = raw.bound.rule.score
                scored.add(entry)
            else:
                self.tally.note(entry, raw.bound.rule.name, raw.bound.rule.score, _content(raw, text))
        for entry in sorted(scored, key=lambda each: each.index):
            rules = signs[entry]
            score = combined(rules.values())
            if score >= entry.guard.threshold - 1e-9:
                self.tally.note(entry, max(rules, key=lambda name: rules[name]), score, text)

    # -- guards that look at a text as it comes ------------------------------------------------------------

    def watches(self) -> list[tuple[Entry, Watch]]:
        """Return a watch per guard that looks at texts in pieces, for one text."""
        found = []
        for entry in self.program.watches:
            try:
                watch = entry.guard.watch(self.about)
            except Exception as error:  # noqa: BLE001 - a plug-in may raise anything; on_error says what follows
                self._failed(entry, error)
                continue
            if watch is not None:
                found.append((entry, watch))
        return found

    def watched(self, entry: Entry, watch: Watch, piece: str, *, last: bool = False) -> None:
        """Let a watch see the next piece of its text."""
        try:
            hits = [*watch.feed(piece), *(watch.end() if last else ())]
        except Exception as error:  # noqa: BLE001 - a plug-in may raise anything; on_error says what follows
            self._failed(entry, error)
            return
        for hit in hits:
            self.tally.note(entry, hit.rule, hit.score, piece)

    # -- guards that see more than a text ------------------------------------------------------------------

    def document(self, document: Document, entries: Sequence[Entry]) -> None:
        """Let document guards look."""
        for entry in entries:
            try:
                for hit in entry.guard.inspect(document, self.about):
                    self.tally.note(entry, hit.rule, hit.score, "")
            except Exception as error:  # noqa: BLE001 - a plug-in may raise anything; on_error says what follows
                self._failed(entry, error)

    def judge(self, text: str, *, role: str = "") -> str:
        """Let text guards judge; returns the text with what they mask replaced."""
        for entry in self.program.judges:
            if not _hears(entry, role):
                continue
            try:
                hits = list(entry.guard.judge(text, self.about))
            except Exception as error:  # noqa: BLE001 - a plug-in may raise anything; on_error says what follows
                self._failed(entry, error)
                continue
            for hit in hits:
                self.tally.note(entry, hit.rule, hit.score, text[hit.start : hit.end] or text)
            if entry.action is Action.MASK:
                text = _masked(text, hits)
        return text

    async def ask(self, text: str, transport: Transport, *, role: str = "", late: bool = False) -> str:
        """Let remote guards judge; `late`: the text has gone out, so those that nobody waited for may flag it."""
        for entry in self.program.remotes:
            if (late and entry.guard.holds) or not _hears(entry, role):
                continue
            try:
                reply = await entry.guard.ask(text, self.about, transport)
            except Exception as error:  # noqa: BLE001 - a plug-in may raise anything; on_error says what follows
                self._failed(entry, error)
                continue
            if reply.action is None:
                continue
            if late or reply.action is Action.FLAG or entry.action is Action.FLAG:
                self.tally.note(entry, reply.rule, reply.score, text, outcome=Outcome.FLAG)
            elif reply.action is Action.BLOCK or reply.text is None:
                self.tally.note(entry, reply.rule, reply.score, text, outcome=Outcome.DENY)
            else:
                self.tally.note(entry, reply.rule, reply.score, text, outcome=Outcome.MODIFY)
                text = reply.text
        return text

    def _failed(self, entry: Entry, error: Exception) -> None:
        reason = error.code if isinstance(error, PenstockError) else type(error).__name__
        # Its message may quote what it was given: only its kind is written down.
        _log.warning("the guard %s of %s failed: %s", entry.label, entry.policy, reason)
        self.tally.failed(entry, reason)


def _hears(entry: Entry, role: str) -> bool:
    return not role or not entry.guard.roles or role in entry.guard.roles


def _content(raw: Raw, text: str) -> str:
    return text[raw.start : raw.kept]


def _masked(text: str, hits: Sequence[Hit]) -> str:
    position = len(text)
    for hit in sorted(hits, key=lambda each: each.start, reverse=True):
        if 0 <= hit.start < hit.end <= position:
            text = f"{text[: hit.start]}[{hit.rule.upper()}]{text[hit.end :]}"
            position = hit.start
    return text


def _unescaped(source: str) -> str:
    try:
        return msgspec.json.decode(f'"{source}"'.encode(errors="replace"), type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return source
