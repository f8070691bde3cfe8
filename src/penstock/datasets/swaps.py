"""Swapping words for their counterparts: counterfactual copies of texts.

Lu et al. 2018, Gender Bias in Neural Natural Language Processing (counterfactual data augmentation); the words
follow the pairs that WinoBias (Zhao et al. 2018) swaps, written down anew. English. `her` is a possessive before a
word and an object elsewhere, told by the word that follows; names are left alone.
"""

import re
from collections.abc import Iterable

_GENDER = (
    "he she,himself herself,man woman,men women,boy girl,boys girls,guy gal,guys gals,gentleman lady,gentlemen ladies,"
    "father mother,fathers mothers,dad mom,dads moms,son daughter,sons daughters,brother sister,brothers sisters,"
    "uncle aunt,uncles aunts,nephew niece,nephews nieces,grandfather grandmother,grandson granddaughter,"
    "husband wife,husbands wives,boyfriend girlfriend,groom bride,king queen,kings queens,prince princess,"
    "actor actress,actors actresses,waiter waitress,waiters waitresses,host hostess,steward stewardess,"
    "policeman policewoman,policemen policewomen,businessman businesswoman,salesman saleswoman,chairman chairwoman,"
    "male female,males females,masculine feminine,sir madam,mr mrs,widower widow,hero heroine,landlord landlady,"
    "stepfather stepmother,stepson stepdaughter,godfather godmother,monk nun,wizard witch,fiance fiancee"
)
LISTS: dict[str, tuple[tuple[str, str], ...]] = {
    "gender": tuple((first, second) for first, second in (pair.split() for pair in _GENDER.split(","))),
}
"""Name → pairs of words."""
_WORDS = re.compile(r"[^\W\d_]+")
_NEXT = re.compile(r"\s+([^\W\d_]+)")
_FUNCTION = (
    "a an the and or but if to in on at of for from with by as about after before because when while that this who"
    " is was were are be has had have will would can could should did does do not again away back up out off over"
    " there here today yesterday tomorrow how what why where so very too also then than into"
)
_NOT_OWNED = frozenset(_FUNCTION.split())


class Swapper:
    """Swaps the words of lists and pairs in both directions; capitals stay where they were."""

    def __init__(self, lists: Iterable[str], pairs: Iterable[tuple[str, str]] = ()) -> None:
        names = tuple(lists)
        self._other: dict[str, str] = {}
        for first, second in [*(pair for name in names for pair in LISTS[name]), *pairs]:
            self._other.setdefault(first.lower(), second.lower())
            self._other.setdefault(second.lower(), first.lower())
        self._pronouns = "gender" in names

    def swap(self, text: str) -> str:
        """Return `text` with every listed word swapped; unchanged when there is none."""
        return _WORDS.sub(lambda match: self._swapped(match, text), text)

    @staticmethod
    def words(text: str) -> list[str]:
        """Return the words of `text` in lower case, as lists hold them."""
        return _WORDS.findall(text.lower())

    def _swapped(self, match: "re.Match[str]", text: str) -> str:
        word = match.group()
        target = self._target(match, text)
        if target is None:
            return word
        if len(word) > 1 and word.isupper():
            return target.upper()
        return target[:1].upper() + target[1:] if word[:1].isupper() else target

    def _target(self, match: "re.Match[str]", text: str) -> str | None:
        word = match.group().lower()
        if self._pronouns and word in ("his", "her", "him", "hers"):
            following = _NEXT.match(text, match.end())
            owned = following is not None and following.group(1).lower() not in _NOT_OWNED
            return {"his": "her" if owned else "hers", "her": "his" if owned else "him", "him": "her"}.get(
                word, "his"
            )
        return self._other.get(word)
