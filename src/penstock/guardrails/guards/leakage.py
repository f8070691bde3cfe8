"""Answers that give the system prompt away: a canary that stands in it, or a run of its words.

Runs are compared word by word, so neither case nor punctuation nor line breaks hide them; a paraphrase, a translation
or an encoding does. Streams are watched as they go: what gets out before they are cut is less than one run.
"""

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import re2

from penstock.guardrails.model import About, Action, Hit, Stage
from penstock.guardrails.options import Options, user_pattern
from penstock.guardrails.ports import Rule, Setting, Watch

MAX_WORDS = 5_000
"""Words of a system prompt that are looked for."""
_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_word = re.compile(rf"[{_CJK}]|[^\W{_CJK}]+")
"""A word; in scripts that do not part words, a character."""


def words(text: str) -> list[str]:
    """Return the words of `text`, folded."""
    return _word.findall(text.casefold())


def _runs(found: Sequence[str], size: int) -> Iterable[int]:
    return (hash(tuple(found[at : at + size])) for at in range(len(found) - size + 1))


class _Known:
    """The runs of one prompt, as hashes; kept for the next call with the same prompt."""

    @staticmethod
    @lru_cache(maxsize=32)
    def _kept(prompt: "_Prompt", size: int) -> frozenset[int]:
        return frozenset(_runs(words(prompt.text)[:MAX_WORDS], size))

    @classmethod
    def runs(cls, prompt: str, size: int) -> frozenset[int]:
        return cls._kept(_Prompt(prompt), size)


class _Prompt:
    """A prompt as a key: equal by digest, so that what is kept does not keep the prompt."""

    __slots__ = ("_digest", "text")

    def __init__(self, text: str) -> None:
        self._digest = hashlib.sha256(text.encode(errors="replace")).digest()
        self.text = text

    def __hash__(self) -> int:
        return hash(self._digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Prompt) and self._digest == other._digest


class RunWatch:
    """Looks for runs of the prompts' words in a text that comes in pieces."""

    def __init__(self, prompts: Sequence[frozenset[int]], size: int, share: float) -> None:
        self._size = size
        self._prompts = prompts
        self._needed = [max(1, math.ceil(share * len(known))) for known in prompts]
        self._seen: list[set[int]] = [set() for _ in prompts]
        self._last: list[str] = []
        self._rest = ""
        self._told = False

    def feed(self, piece: str) -> Sequence[Hit]:
        """Return a hit once enough runs have come, and then no more."""
        text = self._rest + piece
        found = list(_word.finditer(text))
        # The last word may go on in the next piece.
        open_at = found.pop().start() if found and found[-1].end() == len(text) else len(text)
        self._rest = text[open_at:]
        return self._take([match.group().casefold() for match in found])

    def end(self) -> Sequence[Hit]:
        """Take the last word in."""
        found, self._rest = words(self._rest), ""
        return self._take(found)

    def _take(self, found: list[str]) -> Sequence[Hit]:
        if not found or self._told:
            return ()
        line = self._last + found
        for run in _runs(line, self._size):
            for known, seen in zip(self._prompts, self._seen, strict=True):
                if run in known:
                    seen.add(run)
        self._last = line[max(0, len(line) - self._size + 1) :]
        for known, seen, needed in zip(self._prompts, self._seen, self._needed, strict=True):
            if len(seen) >= needed:
                self._told = True
                return [Hit("system_prompt", len(seen) / len(known))]
        return ()


class LeakageGuard:
    """Options: `words` in a run (10), `share` of a prompt's runs that must come (0: one), `canaries`
    (texts that stand in prompts)."""

    stages: ClassVar = (Stage.OUTPUT,)
    actions: ClassVar = (Action.BLOCK, Action.FLAG)
    roles: frozenset[str] = frozenset()
    threshold = 0.0

    def __init__(self, options: Mapping[str, Any], setting: Setting) -> None:  # noqa: ARG002 - what every plug-in gets
        given = Options("leakage", options)
        self._size = int(given.number("words", 10, least=3, most=100))
        self._share = float(given.number("share", 0, least=0, most=1))
        canaries = given.texts("canaries")
        given.done()
        if short := next((each for each in canaries if len(each) < 6), None):
            raise given.bad("canaries", f"texts of 6 characters at least; one has {len(short)}")
        patterns = [f"(?i){re2.escape(canary)}" for canary in canaries]
        self.rules = tuple(Rule("canary", pattern, user_pattern(pattern)) for pattern in patterns)

    def watch(self, about: About) -> Watch | None:
        """Return what looks for the call's system prompts; None when they are too short to tell."""
        prompts = [_Known.runs(prompt, self._size) for prompt in about.system]
        prompts = [known for known in prompts if known]
        return RunWatch(prompts, self._size, self._share) if prompts else None
