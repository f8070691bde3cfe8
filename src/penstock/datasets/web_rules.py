"""Rules for text from the web, with the numbers their authors published.

Gopher: Rae et al. 2021, Scaling Language Models (arXiv 2112.11446), section A1.1 and table A1.
C4: Raffel et al. 2020, Exploring the Limits of Transfer Learning (JMLR 21/140), section 2.2.
C4's list of bad words is not applied: it removes text about minorities more than others (Dodge et al. 2021).
"""

import re
from collections import Counter
from collections.abc import Sequence

STOP_WORDS = frozenset({"the", "be", "to", "of", "and", "that", "have", "with"})
TOP_NGRAMS = ((2, 0.20), (3, 0.18), (4, 0.16))
"""Gopher: words per n-gram, largest share of characters that the commonest one may cover."""
REPEATED_NGRAMS = ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10))
"""Gopher: words per n-gram, largest share of characters that all repeated ones may cover."""
_POLICIES = (
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)
_ENDS = (".", "!", "?", '"', "”")
_BULLETS = ("•", "-", "*", "‣", "●", "◦")
_SENTENCE = re.compile(r"[.!?…]+[\"'”’)\]]*(?:\s|$)")
_CITATION = re.compile(r"\[\d+\]|\[citation needed\]|\[edit\]")


def gopher_complaint(text: str, *, min_words: int, max_words: int, stop_words: int) -> str | None:
    """Return the first quality rule of Gopher that `text` breaks, or None."""
    words = text.split()
    count = len(words)
    if count < min_words:
        return "too_few_words"
    if count > max_words:
        return "too_many_words"
    if not 3 <= sum(map(len, words)) / max(1, count) <= 10:
        return "mean_word_length"
    if (text.count("#") + text.count("...") + text.count("…")) / max(1, count) > 0.1:
        return "symbols_to_words"
    if sum(any(map(str.isalpha, word)) for word in words) < 0.8 * count:
        return "words_without_letters"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lines and sum(line.startswith(_BULLETS) for line in lines) > 0.9 * len(lines):
        return "bullet_lines"
    if lines and sum(line.endswith(("...", "…")) for line in lines) > 0.3 * len(lines):
        return "ellipsis_lines"
    known = STOP_WORDS.intersection(word.lower().strip(".,;:!?\"'()") for word in words)
    return "too_few_stop_words" if len(known) < stop_words else None


def repetition_complaint(text: str) -> str | None:
    """Return the first repetition rule of Gopher that `text` breaks, or None."""
    for pieces, name in ((text.split("\n"), "lines"), (re.split(r"\n{2,}", text), "paragraphs")):
        full = [piece.strip() for piece in pieces if piece.strip()]
        repeated = _repeats(full)
        if len(repeated) > 0.3 * len(full):
            return f"duplicate_{name}"
        if sum(map(len, repeated)) > 0.2 * sum(map(len, full)):
            return f"duplicate_{name}_characters"
    words = text.split()
    characters = sum(map(len, words))
    for size, limit in TOP_NGRAMS:
        grams = Counter(zip(*(words[place:] for place in range(size)), strict=False))
        if grams:
            gram, count = grams.most_common(1)[0]
            if count > 1 and count * sum(map(len, gram)) > limit * characters:
                return f"top_{size}_gram"
    for size, limit in REPEATED_NGRAMS:
        if _repeated_characters(words, size) > limit * characters:
            return f"duplicate_{size}_grams"
    return None


def _repeats(pieces: Sequence[str]) -> list[str]:
    seen: set[str] = set()
    repeated = []
    for piece in pieces:
        if piece in seen:
            repeated.append(piece)
        seen.add(piece)
    return repeated


def _repeated_characters(words: Sequence[str], size: int) -> int:
    """Return how many characters repeated n-grams cover, no word counted twice."""
    seen: set[tuple[str, ...]] = set()
    covered = [False] * len(words)
    for begin, gram in enumerate(zip(*(words[place:] for place in range(size)), strict=False)):
        if gram in seen:
            covered[begin : begin + size] = [True] * size
        seen.add(gram)
    return sum(len(word) for word, hit in zip(words, covered, strict=True) if hit)


def c4_lines(text: str, *, min_words: int, terminal_punctuation: bool) -> tuple[str, Counter[str]]:
    """Return `text` without the lines that C4 leaves out, and rule → lines removed."""
    kept, removed = [], Counter[str]()
    for line in text.splitlines():
        reason = _line_complaint(line.strip(), min_words, terminal_punctuation)
        if reason is None:
            kept.append(_CITATION.sub("", line))
        else:
            removed[reason] += 1
    return "\n".join(kept), removed


def _line_complaint(line: str, min_words: int, terminal_punctuation: bool) -> str | None:
    if terminal_punctuation and (not line.endswith(_ENDS) or line.endswith("...")):
        return "line_without_end"
    if len(line.split()) < min_words:
        return "short_line"
    lower = line.lower()
    if "javascript" in lower:
        return "javascript_line"
    return "policy_line" if any(words in lower for words in _POLICIES) else None


def c4_complaint(page: str, lines: str, *, min_sentences: int) -> str | None:
    """Return why C4 leaves out the whole page, whose remaining text is `lines`, or None."""
    if "lorem ipsum" in page.lower():
        return "lorem_ipsum"
    if "{" in page:
        return "curly_bracket"
    return "too_few_sentences" if len(_SENTENCE.findall(lines)) < min_sentences else None
