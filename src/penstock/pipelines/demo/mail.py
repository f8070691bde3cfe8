"""Support mails as text: phrase banks and a seeded composer.

A mail has three independent properties: what the writer wants (`INTENTS`), which product it is about (`PRODUCTS`)
and how pressing it is (`URGENCIES`). Nothing here knows the triage policy; `tickets` turns properties into labels.
"""

import random
from dataclasses import dataclass

INTENTS = ("billing", "refund", "cancel", "technical", "account", "shipping")
PRODUCTS = (
    "Lumen",
    "Orbit",
    "Tidal",
    "Quartz",
    "Maple",
    "Falcon",
    "Cobalt",
    "Harbor",
    "Nimbus",
    "Saffron",
    "Vertex",
    "Willow",
)
URGENCIES = ("low", "medium", "high")

WANTS: dict[str, tuple[str, ...]] = {
    "billing": (
        "the invoice for {p} shows {amount} but we agreed on {amount2}",
        "I was charged twice for {p} {when}",
        "my {p} bill went up to {amount} and nobody told me why",
        "the VAT number is missing on the {p} invoice",
        "can you explain the {amount} charge for {p} on my statement",
        "our accountant needs a corrected invoice for {p}",
        "the payment for {p} was booked {when} although the card had expired",
        "I do not understand the fee on the last {p} statement",
        "please send the {p} invoice to our new billing address",
        "the discount of {n} percent is not on my {p} invoice",
    ),
    "refund": (
        "I would like my money back for {p}",
        "please refund the {amount} I paid for {p} {when}",
        "I returned {p} {when} and the refund of {amount} never arrived",
        "{p} was not what I expected, so I want a refund",
        "how do I get the {amount} back that I spent on {p}",
        "you promised to pay back {amount} for {p}",
        "please return the money for the {n} seats of {p} we never used",
        "I am asking for a full refund of {p}",
        "the refund for {p} is still not on my card",
        "give me back what I paid for {p}, it did not help us",
    ),
    "cancel": (
        "please cancel my {p} subscription",
        "I want to end the {p} contract at the end of the month",
        "we no longer need {p} and would like to stop the renewal",
        "kindly close the {p} plan, we switched to another tool",
        "do not renew {p} for us",
        "I tried to cancel {p} {when} but the plan is still active",
        "we are leaving {p}, please terminate the contract",
        "please stop the {p} trial before it turns into a paid plan",
        "how can I cancel the {n} seats of {p}",
        "take us off the {p} plan, we will not continue",
    ),
    "technical": (
        "{p} crashes when I open a report",
        "the {p} app freezes after the update {when}",
        "{p} shows error {code} on every page",
        "since {when} the export in {p} gives an empty file",
        "the sync between {p} and our calendar is broken",
        "{p} is very slow and the screen stays white",
        "the search in {p} returns nothing, only error {code}",
        "the {p} plugin stopped working {when}",
        "uploads to {p} fail at {n} percent",
        "there is a bug in {p}: the dates are wrong by one day",
    ),
    "account": (
        "I cannot log in to {p} any more",
        "the password reset mail for {p} never comes",
        "my {p} account is locked after {n} attempts",
        "please change the owner of our {p} account",
        "{p} does not accept my login code",
        "we need a new user name for {p}",
        "two factor sign in for {p} asks for a phone I lost {when}",
        "my colleague has no access to our {p} workspace",
        "how do I change the mail address of my {p} profile",
        "{p} says that my user does not exist",
    ),
    "shipping": (
        "the {p} box has not arrived yet",
        "my parcel with {p} is stuck at the depot since {when}",
        "where is the {p} package, the tracking number {code} shows nothing",
        "the {p} delivery came {when} with the wrong color",
        "please send {p} to our other office address",
        "the courier left {p} at the wrong house",
        "the {p} parcel was damaged on the way",
        "only {n} of the {p} boxes were delivered",
        "when will you ship {p}, it was ordered {when}",
        "the delivery date of {p} was moved again",
    ),
}
CUES: dict[str, tuple[str, ...]] = {
    "high": (
        "this is urgent",
        "we need it solved today",
        "the whole {team} team is blocked",
        "please act immediately",
        "every hour costs us money",
        "our customers are already complaining",
        "this cannot wait until tomorrow",
        "we have an audit in {n} hours",
        "the deadline is this afternoon",
        "nobody in the {team} team can work",
        "I need an answer within the hour",
        "this is an emergency for us",
        "please call me back right now",
        "we go live tonight",
        "as soon as possible please",
    ),
    "medium": (
        "please look at it this week",
        "an answer in the next days would be good",
        "let me know what you find",
        "please tell me the next steps",
        "I look forward to your answer",
        "please keep me posted",
        "thank you for your help",
        "a short reply by {day} is fine",
        "could you check that for the {team} team",
        "I hope you can help",
        "please confirm when it is done",
        "tell me if you need more details",
    ),
    "low": (
        "there is no rush",
        "whenever you have a spare moment",
        "it can wait until next month",
        "this is not pressing at all",
        "take your time",
        "no hurry from our side",
        "just something I noticed",
        "it is only a small thing",
        "we can live with it for now",
        "next quarter is early enough",
        "I only ask out of curiosity",
        "please handle the important mails first",
        "it is just for the {team} team's records",
        "answer when it suits you",
    ),
}
NEUTRAL = (
    "We have used it since {year}.",
    "My order number is {code}.",
    "I work in the {team} team.",
    "We are a team of {n}.",
    "I already read the manual.",
    "My colleague {name} wrote to you before.",
    "Our office is in {city}.",
    "I am writing for {name} from {city}.",
    "This is my first mail about it.",
    "We talked about it {when}.",
    "The customer number is {code}.",
    "I use it on a laptop and a phone.",
    "The weather in {city} is nice at least.",
)
GREETINGS = (
    "Hello,",
    "Hi,",
    "Hi there,",
    "Dear support,",
    "Good morning,",
    "Dear team,",
    "Hey,",
    "To whom it may concern,",
    "",
)
CLOSINGS = ("Best regards,", "Kind regards,", "Thanks,", "Cheers,", "Best,", "Yours,", "")
OPENERS = (
    "",
    "",
    "",
    "I hope you are well. ",
    "Sorry to bother you. ",
    "A quick note: ",
    "Following up: ",
    "FYI: ",
)
CONTACT = (
    "You can reach me at {email}.",
    "My phone is {phone}.",
    "Write to {email} or call {phone}.",
    "My card is {card}.",
    "The IBAN is {iban}.",
    "The account is {iban}.",
    "Please answer to {email}.",
    "Paid with card {card}.",
)
NAMES = (
    "Anna",
    "Ben",
    "Carla",
    "David",
    "Elena",
    "Farid",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Kim",
    "Lena",
    "Marco",
    "Nadia",
    "Oskar",
    "Paula",
    "Rosa",
    "Sam",
    "Tariq",
    "Vera",
)
SURNAMES = (
    "Novak",
    "Silva",
    "Berg",
    "Costa",
    "Meyer",
    "Okafor",
    "Rossi",
    "Jansen",
    "Haddad",
    "Klein",
    "Moreau",
    "Lindqvist",
)
CITIES = ("Porto", "Leeds", "Graz", "Lyon", "Turin", "Gdansk", "Ghent", "Malmo", "Cork", "Basel")
TEAMS = ("sales", "finance", "design", "support", "legal", "warehouse")
TIMES = (
    "yesterday",
    "last week",
    "on Monday",
    "two days ago",
    "this morning",
    "last Friday",
    "in March",
    "a month ago",
)
DAYS = ("Monday", "Wednesday", "Friday", "Thursday")
ANSWERS: dict[str, tuple[str, ...]] = {
    "billing": ("We checked the invoice for {p}.", "The bill for {p} will be corrected by accounting."),
    "refund": ("The money for {p} goes back to you.", "Your payment for {p} will be returned."),
    "cancel": ("Your {p} plan ends now.", "We stopped the renewal of {p} and the contract is over."),
    "technical": ("Our engineers found the bug in {p}.", "The error in {p} is being fixed."),
    "account": ("Your login for {p} works again.", "We reset the password of your {p} user."),
    "shipping": ("The courier brings {p}.", "The parcel with {p} is on its way."),
}
PACE: dict[str, tuple[str, ...]] = {
    "high": ("We dropped everything else and start at once.", "Someone calls you within minutes."),
    "medium": ("We come back to you in two days.", "You hear from us this week."),
    "low": (
        "As you said, it goes to the end of the list.",
        "We pick it up some time later, as there is no hurry.",
    ),
}
TOPICS: dict[str, tuple[str, ...]] = {
    "billing": ("an invoice", "a charge"),
    "refund": ("money back", "a repayment"),
    "cancel": ("the end of a plan", "leaving us"),
    "technical": ("a fault", "something broken"),
    "account": ("signing in", "access"),
    "shipping": ("a parcel", "a delivery"),
}
TEMPO: dict[str, tuple[str, ...]] = {
    "high": ("at once", "right away"),
    "medium": ("this week", "in a few days"),
    "low": ("some time later", "when it suits"),
}
FOREIGN = (
    "Guten Tag, meine Rechnung stimmt nicht und ich bitte um eine Korrektur. Vielen Dank und freundliche Grüße",
    "Bonjour, je voudrais savoir où se trouve ma commande car elle n'est pas encore arrivée. Merci beaucoup",
    "Hola, no puedo entrar en mi cuenta y necesito ayuda con la contraseña. Muchas gracias por todo",
    "Dzień dobry, proszę o zwrot pieniędzy za ostatnie zamówienie. Dziękuję i pozdrawiam serdecznie",
    "Buongiorno, vorrei disdire il mio abbonamento alla fine del mese. Grazie mille e cordiali saluti",
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
    """The agent's note at the head of an answer, as `key: value` lines in everyday words."""
    return f"about: {rng.choice(TOPICS[mail.intent])}\nfor: {mail.product}\nanswer: {rng.choice(TEMPO[mail.urgency])}"
