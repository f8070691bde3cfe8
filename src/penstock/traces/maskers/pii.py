"""Personal data by rules and checksums: e-mail, IBAN, card, social security, IP and phone numbers, secrets."""

from collections.abc import Mapping
from typing import Any

from penstock.core.errors import Invalid
from penstock.core.pii import Detector


class PiiMasker:
    """Options: `kinds` (default all); a find becomes `[EMAIL]`, `[CARD]`, …"""

    def __init__(self, options: Mapping[str, Any]) -> None:
        unknown = sorted(set(options) - {"kinds"})
        kinds = options.get("kinds")
        if unknown:
            raise Invalid(f"The masker `pii` has no option {unknown[0]!r}.", hint="It has `kinds`.")
        if kinds is not None and not isinstance(kinds, list | tuple):
            raise Invalid("`kinds` of the masker `pii` must be a list.")
        self._detector = Detector(kinds)

    def mask(self, text: str) -> str:
        """Return `text` with each find replaced by its kind."""
        return self._detector.redact(text)[0]
