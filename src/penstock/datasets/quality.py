"""Why a text is not worth keeping: too short or long, mostly symbols, or the same words over and over."""

import re
from collections import Counter
from dataclasses import dataclass

_WORDS = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a text has to satisfy; zero or one switches a bound off."""

    min_characters: int = 0
    max_characters: int = 0
    min_words: int = 0
    max_symbol_share: float = 1.0
    """Largest share of characters that are neither letters, digits nor spaces."""
    max_repeated_share: float = 1.0
    """Largest share of words that the single most frequent word may have; judged from 10 words on."""


def complaint(text: str, bounds: Bounds) -> str | None:
    """Return the first reason to drop `text` (a stable word for counting), or None."""
    stripped = text.strip()
    if len(stripped) < bounds.min_characters:
        return "too_short"
    if bounds.max_characters and len(stripped) > bounds.max_characters:
        return "too_long"
    words = _WORDS.findall(stripped.lower()) if bounds.min_words or bounds.max_repeated_share < 1 else []
    if len(words) < bounds.min_words:
        return "too_few_words"
    if bounds.max_symbol_share < 1 and stripped and _symbols(stripped) > bounds.max_symbol_share:
        return "mostly_symbols"
    if len(words) >= 10 and Counter(words).most_common(1)[0][1] > bounds.max_repeated_share * len(words):
        return "repetitive"
    return None


def _symbols(text: str) -> float:
    plain = sum(character.isalnum() or character.isspace() for character in text)
    return 1 - plain / len(text)
