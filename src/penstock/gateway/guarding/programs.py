"""The programs of all policies that hold for a call, made once per set of policies."""

import re

from penstock.gateway.guarding.plain import unescaped
from penstock.guardrails.building import Entry, build_entries
from penstock.guardrails.model import Action, Policy, Stage
from penstock.guardrails.program import Program, hidden

_TOKEN = re.compile(r"\\.|\[\^?\]?(?:\[:\w+:\]|\\.|[^\]\\])*\]|[\^$]", re.DOTALL)
"""An escape, a character class or an anchor of a pattern."""
_ANCHORS = frozenset({"^", "$", r"\A", r"\z", r"\Z", r"\Q"})


def anchored(pattern: str) -> bool:
    """Whether a pattern asks for the beginning or the end of a text, which a scan of a whole body cannot see."""
    return any(token in _ANCHORS for token in _TOKEN.findall(pattern))


class Side:
    """A program and what tells quickly whether it has anything to do with a body."""

    __slots__ = ("_always", "program", "whole")

    def __init__(self, entries: tuple[Entry, ...], stage: Stage, *, restores: bool = False) -> None:
        self.program = Program(entries, stage, restores=restores)
        self.whole = bool(self.program.judges or self.program.remotes)
        """Whether guards judge whole texts, so that every body has to be read."""
        fixed = any(anchored(bound.rule.prefilter) for bound in self.program.bounds)
        self._always = bool(self.program.broken) or fixed or self.whole

    @property
    def idle(self) -> bool:
        """Whether nothing is ever done."""
        return self.program.empty

    def concerned(self, body: bytes) -> bool:
        """Whether guards may find anything in a JSON body: False is certain. Raises Invalid for what is not JSON."""
        if self._always:
            return True
        program = self.program
        plain = unescaped(body)
        if program.touches(plain):
            return True
        if program.scored and not plain.isascii():
            text = plain.decode(errors="replace")
            shown = hidden(text)
            if shown is not text and program.touches(shown.encode(errors="replace")):
                return True
        return any(
            not (markers := entry.guard.markers)
            or any(marker in plain for marker in markers)
            or 0 < entry.guard.above < len(body)
            for entry in program.documents
        )


class Programs:
    """Both sides of the calls that one set of policies holds for."""

    __slots__ = ("input", "needs_system", "output", "restoring", "wrong")

    def __init__(self, policies: tuple[Policy, ...], secret: bytes, *, allow_private: bool) -> None:
        entries, self.wrong = build_entries(policies, allow_private=allow_private, secret=secret)
        self.input = Side(entries, Stage.INPUT)
        self.output = Side(entries, Stage.OUTPUT)
        tokenises = any(entry.action is Action.TOKENISE for entry in self.input.program.entries)
        self.restoring = Side(entries, Stage.OUTPUT, restores=True) if tokenises else self.output
        self.needs_system = any(
            hasattr(entry.guard, "judge") or hasattr(entry.guard, "watch")
            for entry in self.output.program.entries
        )
        """Whether guards of answers want to know the system prompts."""
