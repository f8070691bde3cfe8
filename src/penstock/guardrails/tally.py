"""The verdicts of one call as they come in: counted, hashed, never quoted."""

import hashlib
import hmac
from collections.abc import Callable

from penstock.core.errors import Invalid, PenstockError, Unavailable
from penstock.guardrails.building import Entry
from penstock.guardrails.model import Action, OnError, Outcome, Record, Stage, Verdict

MAX_HASHES = 5
OUTCOMES = {
    Action.MASK: Outcome.MODIFY,
    Action.TOKENISE: Outcome.MODIFY,
    Action.BLOCK: Outcome.DENY,
    Action.FLAG: Outcome.FLAG,
}
Count = Callable[[str, str], None]
"""Told (guard, verdict) for each verdict of a call."""


class _Line:
    __slots__ = ("count", "hashes", "score")

    def __init__(self) -> None:
        self.count = 0
        self.score = 0.0
        self.hashes: list[str] = []


class Tally:
    """What guards said about one side of a call."""

    __slots__ = ("_lines", "denial", "error", "stage")

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self._lines: dict[tuple[Entry, str, Outcome], _Line] = {}
        self.denial: Entry | None = None
        """The guard that refuses the call; of several the first in order."""
        self.error: PenstockError | None = None
        """What the caller gets when the call is refused."""

    def note(
        self, entry: Entry, rule: str, score: float, content: str, *, outcome: Outcome | None = None
    ) -> None:
        """Take a find in; `content` is only ever hashed."""
        outcome = outcome or OUTCOMES[entry.action]
        line = self._lines.get((entry, rule, outcome))
        if line is None:
            line = self._lines[entry, rule, outcome] = _Line()
        line.count += 1
        line.score = max(line.score, score)
        if entry.record is Record.HASH and content and len(line.hashes) < MAX_HASHES:
            digest = hmac.new(entry.secret, content.encode(errors="replace"), hashlib.sha256).hexdigest()[:32]
            if digest not in line.hashes:
                line.hashes.append(digest)
        if outcome is Outcome.DENY and (self.denial is None or entry.index < self.denial.index):
            self.denial = entry
            self.error = self._refusal(entry, rule)

    def failed(self, entry: Entry, reason: str) -> None:
        """Take in that a guard itself failed."""
        if entry.on_error is OnError.OPEN:
            self.note(entry, f"error:{reason}"[:100], 0.0, "", outcome=Outcome.FLAG)
            return
        self.note(entry, f"error:{reason}"[:100], 0.0, "", outcome=Outcome.DENY)
        if self.denial is entry:
            self.error = Unavailable(
                f"The guardrail {entry.label!r} of the policy {entry.policy} could not do its work.",
                hint="It is set to refuse calls then (on_error = closed).",
                retry_after=1,
            )

    def _refusal(self, entry: Entry, rule: str) -> Invalid:
        what = "request" if self.stage is Stage.INPUT else "answer"
        return Invalid(
            f"The {what} was refused by the guardrail {entry.label!r} of the policy {entry.policy} (rule {rule}).",
            details={"code": "content_filter", "type": "invalid_request_error"},
        )

    @property
    def empty(self) -> bool:
        """Whether no guard found anything."""
        return not self._lines

    def verdicts(self) -> list[Verdict]:
        """Return the verdicts, in the guards' order."""
        return [
            Verdict(
                outcome=outcome,
                guard=entry.label,
                rule=rule,
                policy=entry.policy,
                stage=self.stage,
                score=line.score,
                count=line.count,
                hashes=tuple(line.hashes),
            )
            for (entry, rule, outcome), line in sorted(
                self._lines.items(), key=lambda item: (item[0][0].index, item[0][1])
            )
        ]
