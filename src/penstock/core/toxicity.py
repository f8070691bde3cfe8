"""Rates of words that often come with toxic text, by small lists of our own.

A word list finds words, not intentions: it counts quotations and friendly swearing, and misses every insult written
without them. Use the rates to compare versions and to find rows worth reading, not to judge a row.
"""

import re
from collections import Counter

LISTS: dict[str, str] = {
    "insult": "idiot idiots idiotic moron morons moronic stupid dumb dumbass imbecile loser losers scum vermin pathetic"
    " worthless pig pigs trash garbage creep creeps jerk jerks freak freaks retard retarded blödmann arschloch"
    " dummkopf vollidiot idiota imbécil connard salaud cretino",
    "profanity": "fuck fucks fucked fucker fuckers fucking motherfucker shit shits shitty bullshit ass asshole assholes"
    " bastard bastards bitch bitches crap damn dammit piss pissed cunt dick dickhead prick wanker bollocks scheiße"
    " scheiss verdammt mierda puta joder merde putain cazzo merda",
    "threat": "kill kills killing murder murdering strangle stab stabbing shoot beat rape lynch bomb behead slaughter"
    " töten umbringen matar tuer uccidere",
    "sexual": "porn porno pornography nude nudes naked sexy slut sluts whore whores horny blowjob orgasm masturbate"
    " masturbating boobs tits nutte schlampe",
}
"""Kind → its words."""

_KIND = {word: kind for kind, listed in LISTS.items() for word in listed.split()}
_WORDS = re.compile(r"[^\W\d_]+")


def words(text: str) -> list[str]:
    """Return the lower-case words of a text."""
    return _WORDS.findall(text.lower())


def count(text: str) -> Counter[str]:
    """Return kind → listed words in `text`."""
    found: Counter[str] = Counter()
    for word in words(text):
        kind = _KIND.get(word)
        if kind is not None:
            found[kind] += 1
    return found
