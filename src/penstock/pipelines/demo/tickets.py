"""The demo's tickets: history with outdated labels and everyday dirt, a clean test set, and fresh production mail.

An answer is three `key: value` lines: category, product, priority. The true policy takes the priority from how
pressing the mail is. The legacy policy, by which the history was labelled, files every refund and cancellation
under medium, so whoever learns it perfectly is right on about 78 % of mails (1 - 2/6 x 2/3 wrong).
"""

import random
from dataclasses import dataclass
from typing import Any

from penstock.pipelines.demo.mail import Mail, compose
from penstock.pipelines.demo.phrases import FOREIGN, GREETINGS, INTENTS, PRODUCTS, URGENCIES

CATEGORIES = INTENTS
OUTDATED = ("refund", "cancel")
"""Categories whose priority the legacy policy always calls medium."""
EXACT_COPIES, NEAR_COPIES, FOREIGN_SHARE = 0.04, 0.04, 0.02
"""Shares of the history that are copies, almost copies, and mails in other languages."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A mail with the answer that the policy in force asks for."""

    id: str
    text: str
    answer: str


@dataclass(frozen=True, slots=True)
class Corpus:
    """Everything one demo run reads; no mail of `test` or `traffic` appears anywhere else."""

    history: list[dict[str, Any]]
    """Rows `{id, text, label}` with legacy labels, copies, personal data and noise."""
    test: list[dict[str, Any]]
    """Rows `{id, text, label}` with true labels."""
    traffic: list[Ticket]
    """Production mails; reviewers know the true answer."""


def answer(category: str, product: str, priority: str) -> str:
    """Return the answer in the agreed form."""
    return f"category: {category}\nproduct: {product}\npriority: {priority}"


def true_answer(mail: Mail) -> str:
    """Return the answer that today's policy asks for."""
    return answer(mail.intent, mail.product, mail.urgency)


def legacy_answer(mail: Mail) -> str:
    """Return the answer that the outdated policy gave."""
    return answer(mail.intent, mail.product, "medium" if mail.intent in OUTDATED else mail.urgency)


def draw(rng: random.Random, *, redacted: bool = False, brief: bool = False) -> Mail:
    """Compose a mail with uniformly drawn properties."""
    return compose(
        rng,
        intent=rng.choice(INTENTS),
        product=rng.choice(PRODUCTS),
        urgency=rng.choice(URGENCIES),
        redacted=redacted,
        brief=brief,
    )


class _Fresh:
    """Draws mails that were not drawn before."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(f"tickets {seed}")
        self._seen: set[str] = set()

    def mail(self) -> Mail:
        while True:
            mail = draw(self.rng)
            key = " ".join(mail.text.lower().split())
            if key not in self._seen:
                self._seen.add(key)
                return mail


def _almost(rng: random.Random, text: str) -> str:
    """Return the mail as it is sent a second time: only the greeting differs."""
    lines = [line for line in text.split("\n") if line not in GREETINGS]
    greeting = rng.choice([g for g in GREETINGS if g and g not in text])
    return "\n".join([greeting, *lines])


def _history(fresh: _Fresh, rows: int) -> list[dict[str, Any]]:
    rng = fresh.rng
    made: list[tuple[str, str]] = []
    while len(made) < rows:
        dice = rng.random()
        if made and dice < EXACT_COPIES:
            made.append(rng.choice(made))
        elif made and dice < EXACT_COPIES + NEAR_COPIES:
            text, label = rng.choice(made)
            made.append((_almost(rng, text), label))
        elif dice < EXACT_COPIES + NEAR_COPIES + FOREIGN_SHARE:
            text = f"{rng.choice(FOREIGN)} {rng.randrange(1000, 9999)}"
            made.append((text, answer(rng.choice(CATEGORIES), rng.choice(PRODUCTS), "medium")))
        else:
            mail = fresh.mail()
            made.append((mail.text, legacy_answer(mail)))
    return [
        {"id": f"T{number:05d}", "text": text, "label": label} for number, (text, label) in enumerate(made, 1)
    ]


def make(seed: int, *, history: int = 4000, test: int = 500, traffic: int = 600) -> Corpus:
    """Return the corpus of `seed`; the same arguments give the same rows on every machine."""
    fresh = _Fresh(seed)
    held_out = [fresh.mail() for _ in range(test)]
    live = [fresh.mail() for _ in range(traffic)]
    return Corpus(
        history=_history(fresh, history),
        test=[
            {"id": f"E{n:05d}", "text": m.text, "label": true_answer(m)} for n, m in enumerate(held_out, 1)
        ],
        traffic=[Ticket(f"P{n:05d}", m.text, true_answer(m)) for n, m in enumerate(live, 1)],
    )
