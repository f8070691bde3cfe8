"""Replacing personal data: by its kind, by a keyed hash, or by an invented value of the same form.

Invented values come from ranges that belong to nobody: example.org (RFC 2606), 192.0.2.0/24 and its sisters
(RFC 5737), 2001:db8::/32 (RFC 3849), telephone numbers 555-0100 to 555-0199 (NANPA), cards of the unassigned
industry 9 (ISO/IEC 7812), IBANs with the impossible check digits 00 (ISO 13616), social security numbers of the
area 000, which SSA never gave out.
The same value gives the same replacement under the same key, so that rows about one person stay together.
"""

import hashlib
import hmac
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeAlias

from penstock.core.errors import Invalid
from penstock.core.pii import Detector, Finding, PiiKind, placeholder

Mode: TypeAlias = Literal["mask", "hash", "surrogate"]
KEY_BYTES = 32
_HASH_DIGITS = 12


def key_in(path: Path) -> bytes:
    """Return the secret kept in the file `path` (owner only), made if need be; raises Invalid when damaged."""
    if not path.exists():
        temporary = path.with_name(f"{path.name}.{os.getpid()}")
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(os.urandom(KEY_BYTES))
        try:
            # Linking fails where another process was first; then both read that one's.
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise Invalid(f"{path} is damaged: it must hold {KEY_BYTES} bytes.", hint="Restore it from a backup.")
    return key


class Redactor:
    """Replaces finds of `detector` in `mode`; `key` is asked for when the mode needs one."""

    def __init__(self, detector: Detector, mode: Mode, key: Callable[[], bytes]) -> None:
        self._detector = detector
        self._mode = mode
        self._key = b"" if mode == "mask" else key()

    def redact(self, text: str) -> tuple[str, dict[str, int]]:
        """Return `text` with each find replaced, and kind → number replaced."""
        if self._mode == "mask":
            return self._detector.redact(text)
        found = self._detector.find(text)
        parts, position = [], 0
        for finding in found:
            parts += [text[position : finding.start], self._replacement(text, finding)]
            position = finding.end
        parts.append(text[position:])
        return "".join(parts), dict(Counter(str(finding.kind) for finding in found))

    def _replacement(self, text: str, finding: Finding) -> str:
        value = text[finding.start : finding.end]
        name = _canonical(value, finding.kind)
        digest = hmac.digest(self._key, f"{finding.kind}\0{name}".encode(errors="replace"), hashlib.sha256)
        if self._mode == "hash":
            return f"{placeholder(finding.kind)[:-1]}:{digest.hex()[:_HASH_DIGITS]}]"
        return surrogate(finding.kind, value, digest)


def _canonical(value: str, kind: PiiKind) -> str:
    """Return the value without the differences in writing that do not make another value."""
    if kind in (PiiKind.CARD, PiiKind.SSN, PiiKind.PHONE):
        return "".join(filter(str.isdigit, value))
    if kind is PiiKind.SECRET:
        return value
    return value.replace(" ", "").lower()


def surrogate(kind: PiiKind, value: str, digest: bytes) -> str:
    """Return an invented value in place of `value`, chosen by `digest` (32 bytes)."""
    number = int.from_bytes(digest[:16], "big")
    if kind is PiiKind.EMAIL:
        return f"user-{digest.hex()[:10]}@example.org"
    if kind is PiiKind.IP:
        if ":" in value:
            return f"2001:db8::{digest[0] << 8 | digest[1]:x}:{digest[2] << 8 | digest[3]:x}"
        return f"{('192.0.2', '198.51.100', '203.0.113')[digest[0] % 3]}.{digest[1] % 254 + 1}"
    if kind is PiiKind.PHONE:
        area = f"{digest[0] % 8 + 2}{digest[1] % 9}{digest[2] % 10}"
        return f"{'+1 ' if value.lstrip().startswith(('+', '00')) else ''}{area}-555-01{digest[3] % 100:02d}"
    if kind is PiiKind.CARD:
        return _in_form(value, _with_luhn("9999" + f"{number:040d}", sum(map(str.isdigit, value))))
    if kind is PiiKind.IBAN:
        return _in_form(value, value[:2] + "00" + f"{number:040d}")
    if kind is PiiKind.SSN:
        return f"000-{digest[0] % 99 + 1:02d}-{number % 9999 + 1:04d}"
    return f"secret_{digest.hex()[:24]}"


def _in_form(value: str, replacement: str) -> str:
    """Return `replacement` cut to the length of `value`, with its spaces and dashes."""
    source = iter(replacement)
    return "".join(next(source) if character.isalnum() else character for character in value)


def _with_luhn(digits: str, length: int) -> str:
    body = digits[: length - 1]
    total = 0
    for place, character in enumerate(reversed(body)):
        doubled = int(character) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return body + str(-total % 10)
