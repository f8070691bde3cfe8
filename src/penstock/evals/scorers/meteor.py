"""METEOR without its dictionaries."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from penstock.core.errors import Invalid
from penstock.evals.scorers.rouge import Rouge, tokens

_VOWELS = frozenset("aeiou")


def stem(word: str) -> str:
    """Return an English word without plural, -ed, -ing and with y as i, by step 1 of Porter's algorithm (1980)."""
    if word.endswith(("sses", "ies")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    if word.endswith("eed"):
        word = word[:-1] if _consonants_after_vowels(word[:-3]) else word
    elif word.endswith("ed") and _has_vowel(word[:-2]):
        word = _mended(word[:-2])
    elif word.endswith("ing") and _has_vowel(word[:-3]):
        word = _mended(word[:-3])
    return f"{word[:-1]}i" if word.endswith("y") and _has_vowel(word[:-1]) else word


def _is_vowel(word: str, place: int) -> bool:
    letter = word[place]
    return letter in _VOWELS or (letter == "y" and place > 0 and not _is_vowel(word, place - 1))


def _has_vowel(word: str) -> bool:
    return any(_is_vowel(word, place) for place in range(len(word)))


def _consonants_after_vowels(word: str) -> int:
    """Return Porter's measure m: how often a run of vowels is followed by consonants."""
    kinds = [_is_vowel(word, place) for place in range(len(word))]
    return sum(before and not after for before, after in pairwise(kinds))


def _mended(word: str) -> str:
    """Return a word that lost -ed or -ing as step 1b of Porter's algorithm leaves it."""
    if word.endswith(("at", "bl", "iz")):
        return f"{word}e"
    if len(word) > 1 and word[-1] == word[-2] and word[-1] not in "aeioulsz":
        return word[:-1]
    short = (
        len(word) > 2
        and not _is_vowel(word, len(word) - 1)
        and word[-1] not in "wxy"
        and _is_vowel(word, len(word) - 2)
        and not _is_vowel(word, len(word) - 3)
    )
    return f"{word}e" if short and _consonants_after_vowels(word) == 1 else word


def align(said: Sequence[str], wanted: Sequence[str]) -> dict[int, int]:
    """Return place in `said` → place in `wanted`: equal words first, then words of equal stem, each used once.

    Of several equal words the one that continues the last match is taken, so that matches lie in few runs; the true
    minimum of runs would need a search.
    """
    found: dict[int, int] = {}
    same: Callable[[str], str] = str
    for form in (same, stem):
        places: dict[str, list[int]] = {}
        taken = set(found.values())
        for place, word in enumerate(wanted):
            if place not in taken:
                places.setdefault(form(word), []).append(place)
        for place, word in enumerate(said):
            free = places.get(form(word))
            if place in found or not free:
                continue
            following = found.get(place - 1, -2) + 1
            found[place] = following if following in free else free[0]
            free.remove(found[place])
    return found


def meteor(
    answer: str, reference: str, *, alpha: float = 0.9, beta: float = 3.0, gamma: float = 0.5
) -> float:
    """Return the score of two texts, 0 to 1; 0 when no word matches."""
    said, wanted = tokens(answer), tokens(reference)
    found = align(said, wanted)
    if not found:
        return 0.0
    precision, recall = len(found) / len(said), len(found) / len(wanted)
    mean = precision * recall / (alpha * precision + (1 - alpha) * recall)
    places = [found.get(place) for place in range(len(said))]
    runs = sum(
        one is not None and (index == 0 or places[index - 1] is None or places[index - 1] != one - 1)
        for index, one in enumerate(places)
    )
    return mean * (1 - gamma * math.pow(runs / len(found), beta))


class Meteor(Rouge):
    """`meteor`: matches of words and stems, weighted towards recall, less a penalty for words in another order.

    The formula and its constants (`alpha` 0.9, `beta` 3, `gamma` 0.5) are METEOR's; synonyms and paraphrases, which
    need dictionaries, are left out, and stems are English. The best over the references. Source: Banerjee
    and Lavie, METEOR: An Automatic Metric for MT Evaluation, ACL 2005 workshop.
    """

    name = "meteor"

    def __init__(self, *, alpha: float = 0.9, beta: float = 3.0, gamma: float = 0.5) -> None:
        if not 0 < alpha < 1 or beta <= 0 or not 0 <= gamma <= 1:
            raise Invalid("meteor needs alpha between 0 and 1, beta above 0 and gamma from 0 to 1.")
        self._weights = {"alpha": alpha, "beta": beta, "gamma": gamma}

    def compare(self, answer: str, reference: str) -> float:
        """Return the score of two texts."""
        return meteor(answer, reference, **self._weights)
