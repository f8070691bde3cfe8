"""What is looked for: per kind a cheap RE2 prefilter, an exact expression, and a check."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from penstock.core.pii.checksums import IBAN_LENGTHS, is_card, is_iban, is_ip, is_ssn


class PiiKind(StrEnum):
    """Kinds of personal data and secrets that rules can find; names and addresses need a model."""

    SECRET = "secret"
    EMAIL = "email"
    IBAN = "iban"
    CARD = "card"
    SSN = "ssn"
    IP = "ip"
    PHONE = "phone"


Check = Callable[[str], int]
"""Matched text → how many of its first characters are the find; 0 when it is none."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing to look for; rules listed earlier win where finds overlap."""

    kind: PiiKind
    prefilter: str
    """RE2 expression that hits in or at everything that `exact` matches and `check` accepts; it has to be cheap, and
    rare in texts without finds: only where it hits are the others tried."""
    exact: re.Pattern[str]
    check: Check


def _all(text: str) -> int:
    return len(text)


def _only_digits(text: str) -> str:
    return "".join(character for character in text if "0" <= character <= "9")


def _card(text: str) -> int:
    return len(text) if is_card(_only_digits(text)) else 0


def _iban(text: str) -> int:
    # The expression runs on into capitals that follow; the country says where the number really ends.
    wanted = IBAN_LENGTHS.get(text[:2], 0)
    taken = 0
    for position, character in enumerate(text):
        taken += character != " "
        if taken == wanted:
            return position + 1 if is_iban(text[: position + 1].replace(" ", "")) else 0
    return 0


def _ssn(text: str) -> int:
    return len(text) if is_ssn(text) else 0


def _ip(text: str) -> int:
    return len(text) if is_ip(text) else 0


def _dialled(text: str) -> int:
    """Return how many digits a phone number has without its extension."""
    return len(_only_digits(text.partition("x")[0].partition("e")[0]))


def _international_phone(text: str) -> int:
    return len(text) if 8 <= _dialled(text) <= 15 else 0


def _national_phone(text: str) -> int:
    return len(text) if 9 <= _dialled(text) <= 12 else 0


def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.ASCII)


_HEX = "[0-9A-Fa-f]{0,4}"
_EXTENSION = r" ?(?:x|ext\.?) ?[0-9]{1,6}(?![0-9A-Za-z])"
"""Of a phone number, as North America writes it."""

RULES: tuple[Rule, ...] = (
    Rule(
        PiiKind.SECRET,
        r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
        _compiled(
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----"
            r"(?:[A-Za-z0-9+/=\s]{1,8000}-----END [A-Z ]{0,40}PRIVATE KEY-----)?"
        ),
        _all,
    ),
    Rule(
        PiiKind.SECRET,
        r"(?:sk-|psk_|AKIA|gh[opsur]_|xox[abprs]-|eyJ)[A-Za-z0-9_\-]{10}",
        _compiled(
            r"(?<![A-Za-z0-9_-])(?:sk-[A-Za-z0-9_-]{20,200}|psk_[A-Za-z0-9_-]{40,100}|AKIA[0-9A-Z]{16}|gh[opsur]_[A-Za-z0-9]{36,255}"
            r"|xox[abprs]-[A-Za-z0-9-]{10,200}|eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,8000}\.[A-Za-z0-9_-]{10,2000})(?![A-Za-z0-9_-])"
        ),
        _all,
    ),
    Rule(
        PiiKind.EMAIL,
        r"[A-Za-z0-9._%+\-]@(?:[A-Za-z0-9\-]+\.)+[A-Za-z]{2}",
        _compiled(
            r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9-])"
        ),
        _all,
    ),
    Rule(
        PiiKind.IBAN,
        r"[A-Z]{2}[0-9]{2} ?[A-Z0-9]{4}",
        _compiled(r"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}"),
        _iban,
    ),
    Rule(
        PiiKind.CARD,
        r"(?:[0-9][ \-]?){12}[0-9]",
        _compiled(r"(?<![0-9A-Za-z])(?<![0-9][ -])[0-9](?:[ -]?[0-9]){12,18}(?![0-9A-Za-z])"),
        _card,
    ),
    Rule(
        PiiKind.SSN,
        r"[0-9]{3}-[0-9]{2}-[0-9]{4}",
        _compiled(r"(?<![0-9A-Za-z-])[0-9]{3}-[0-9]{2}-[0-9]{4}(?![0-9A-Za-z-])"),
        _ssn,
    ),
    Rule(
        PiiKind.IP,
        r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]",
        _compiled(r"(?<![0-9A-Za-z.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![0-9A-Za-z]|\.[0-9])"),
        _ip,
    ),
    Rule(
        PiiKind.IP,
        # Either :: or all of its colons: not every time of day.
        r"\B::|(?:\b|[_:])[0-9A-Fa-f]{1,4}::|(?:[0-9A-Fa-f]{1,4}:){7}",
        _compiled(rf"(?<![0-9A-Za-z:.])(?:{_HEX}:){{2,7}}{_HEX}(?![0-9A-Za-z:])"),
        _ip,
    ),
    Rule(
        PiiKind.PHONE,
        r"(?:\+|00)[1-9](?:[ ./()\-]{0,3}[0-9]){6}",
        _compiled(
            r"(?<![0-9A-Za-z+])(?:\+|(?<![0-9][ -])00)[1-9][0-9]{0,2}(?:[ ./()-]{0,3}[0-9]){6,13}"
            rf"(?:{_EXTENSION}|(?![0-9A-Za-z]))"
        ),
        _international_phone,
    ),
    Rule(
        PiiKind.PHONE,
        r"[0-9]{3}(?:\) ?|[ .\-])[0-9]{3}[ .\-][0-9]{4}",
        _compiled(
            r"(?<![0-9A-Za-z+.-])(?:1[ .-])?(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[ .-])"
            rf"[0-9]{{3}}[ .-][0-9]{{4}}(?:{_EXTENSION}|(?![0-9A-Za-z]))"
        ),
        _national_phone,
    ),
    Rule(
        PiiKind.PHONE,
        # As many digits as the check wants: not every date.
        r"(?:\b|_)0[1-9](?:\)?[ /\-]{0,3}[0-9]){7}",
        _compiled(
            r"(?<![0-9A-Za-z+.,-])(?<![0-9] )"
            r"\(?0[1-9][0-9]{0,4}\)?(?:[ /-]{1,3}[0-9]{2,8}){1,5}(?![0-9A-Za-z]|[-./][0-9])"
        ),
        _national_phone,
    ),
)
"""Checked in this order."""
