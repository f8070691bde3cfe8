"""Support mails as text: a seeded composer over the phrase banks.

A mail has three independent properties: what the writer wants (`INTENTS`), which product it is about (`PRODUCTS`)
and how pressing it is (`URGENCIES`). Nothing here knows the triage policy; `tickets` turns properties into labels.
"""

import random
from dataclasses import dataclass

from penstock.pipelines.demo.phrases import (
    ANSWERS,
    CITIES,
    CLOSINGS,
    CONTACT,
    CUES,
    DAYS,
    GREETINGS,
    INTENTS,
    MONTHS,
    NAMES,
    NEUTRAL,
    OPENERS,
    PACE,
    PRODUCTS,
    SURNAMES,
    TEAMS,
    TEMPO,
    TIMES,
    TOPICS,
    URGENCIES,
    WANTS,
)


@dataclass(frozen=True, slots=True)
class Mail:
    """One composed mail and the three properties it was composed from."""

    text: str
    intent: str
    product: str
    urgency: str


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(count))


def _luhn(rng: random.Random) -> str:
    """A 16-digit number that passes the Luhn check (ISO/IEC 7812-1) in the test range 4000 00…."""
    body = "400000" + _digits(rng, 9)
    total = sum(sum(divmod(int(d) * (2 if i % 2 == 0 else 1), 10)) for i, d in enumerate(body))
    number = body + str(-total % 10)
    return " ".join(number[i : i + 4] for i in range(0, 16, 4))


def _iban(rng: random.Random) -> str:
    """A German-shaped IBAN with valid check digits (ISO 13616, mod 97)."""
    bban = _digits(rng, 18)
    check = 98 - int(bban + "131400") % 97
    return f"DE{check:02d}{bban}"


def identity(rng: random.Random, name: str, *, redacted: bool) -> dict[str, str]:
    """Contact slots for one writer: real-looking values, or the placeholders that redaction leaves behind."""
    if redacted:
        return {"email": "[EMAIL]", "phone": "[PHONE]", "card": "[CARD]", "iban": "[IBAN]"}
    return {
        "email": f"{name.lower()}.{rng.choice(SURNAMES).lower()}@example.{rng.choice(('com', 'org', 'net'))}",
        "phone": f"+49 30 {_digits(rng, 4)} {_digits(rng, 4)}",
        "card": _luhn(rng),
        "iban": _iban(rng),
    }


def _slots(rng: random.Random, product: str, *, redacted: bool) -> dict[str, str]:
    name = rng.choice(NAMES)
    amount = rng.randrange(9, 99)
    return {
        "p": product,
        "name": name,
        "city": rng.choice(CITIES),
        "team": rng.choice(TEAMS),
        "when": rng.choice(TIMES),
        "day": rng.choice(DAYS),
        "month": rng.choice(MONTHS),
        "year": str(rng.randrange(2015, 2026)),
        "n": str(rng.randrange(2, 60)),
        "code": f"{rng.choice('ABCDEFGH')}{_digits(rng, 3)}",
        "amount": f"{amount} euros",
        "amount2": f"{max(5, amount - rng.randrange(1, 9))} euros",
        **identity(rng, name, redacted=redacted),
    }


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _typo(rng: random.Random, text: str) -> str:
    """Swap two neighbouring letters inside one longer lower-case word."""
    words = text.split(" ")
    spots = [i for i, word in enumerate(words) if len(word) > 5 and word.isalpha() and word.islower()]
    if not spots:
        return text
    spot = rng.choice(spots)
    word = words[spot]
    cut = rng.randrange(1, len(word) - 2)
    words[spot] = word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :]
    return " ".join(words)


def _lowered(text: str, product: str) -> str:
    """Return the text in lower case, except for the product and placeholders."""
    return " ".join(
        word if product in word or word.startswith("[") else word.lower() for word in text.split(" ")
    )


def compose(
    rng: random.Random,
    *,
    intent: str,
    product: str,
    urgency: str,
    redacted: bool = False,
    brief: bool = False,
) -> Mail:
    """Write one mail with the given properties; every other choice comes from `rng`.

    `redacted` writes `[EMAIL]`, `[PHONE]`, `[CARD]` and `[IBAN]` in place of contact details; `brief` leaves out
    greeting, small talk and signature.
    """
    slots = _slots(rng, product, redacted=redacted)
    want = _sentence(rng.choice(WANTS[intent]).format(**slots))
    cue = _sentence(rng.choice(CUES[urgency]).format(**slots))
    if brief:
        body = [cue, want] if rng.random() < 0.35 else [want, cue]
        return Mail(" ".join(body), intent, product, urgency)
    text = rng.choice(OPENERS) + " ".join(_arranged(rng, want, cue, _extras(rng, slots)))
    greeting, closing = rng.choice(GREETINGS), rng.choice(CLOSINGS)
    if rng.random() < 0.12:
        text = _lowered(text, product)
    end = f"{closing} {slots['name']}" if closing else slots["name"]
    return Mail("\n".join(part for part in (greeting, text, end) if part), intent, product, urgency)


def _extras(rng: random.Random, slots: dict[str, str]) -> list[str]:
    """Return none to three sentences that say nothing about want or urgency."""
    extras = [rng.choice(NEUTRAL).format(**slots) for _ in range(rng.choice((0, 1, 1, 2)))]
    if rng.random() < 0.3:
        extras.append(rng.choice(CONTACT).format(**slots))
    if extras and rng.random() < 0.15:
        extras[0] = _typo(rng, extras[0])
    return extras


def _arranged(rng: random.Random, want: str, cue: str, extras: list[str]) -> list[str]:
    place = rng.random()
    if place < 0.25:
        return [*extras[:1], want, cue, *extras[1:]]
    if place < 0.45:
        return [cue, want, *extras]
    if place < 0.7:
        return [want, *extras, cue]
    return [want, cue, *extras]


def reply(rng: random.Random, mail: Mail) -> str:
    """The support agent's answer to a mail: it takes up what was asked for and how pressing it was, in plain words."""
    answer = rng.choice(ANSWERS[mail.intent]).format(p=mail.product)
    return f"{answer} {rng.choice(PACE[mail.urgency])}"


def note(rng: random.Random, mail: Mail) -> str:
    """What an agent files a mail under, in everyday words: the form of a triage answer without its vocabulary."""
    topic, tempo = rng.choice(TOPICS[mail.intent]), rng.choice(TEMPO[mail.urgency])
    return f"category: {topic}\nproduct: {mail.product}\npriority: {tempo}"


def remark(rng: random.Random) -> tuple[str, str]:
    """A one-line follow-up, which says only what is wanted or only how pressing it is, and what it is filed under."""
    product = rng.choice(PRODUCTS)
    slots = _slots(rng, product, redacted=True)
    if rng.random() < 0.5:
        intent = rng.choice(INTENTS)
        text = rng.choice(WANTS[intent])
        filed = f"category: {rng.choice(TOPICS[intent])}\nproduct: {product}"
    else:
        urgency = rng.choice(URGENCIES)
        text, filed = rng.choice(CUES[urgency]), f"priority: {rng.choice(TEMPO[urgency])}"
    return _sentence(text.format(**slots)), filed
