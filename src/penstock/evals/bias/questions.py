"""Multiple-choice questions of bias suites, as rows of a dataset and as read back from answers."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

LETTERS = "ABC"
_LETTER = re.compile(r"(?<![\w'’])([ABC])(?![\w'’])")
_CHOICE_A = re.compile(
    r"\W*A(?:\W|$)(?!\s*(?!or\b|and\b)[a-z])|.*(?:answer|option|choice)\W+(?:is\W+)?A(?:\W|$)",
    re.DOTALL | re.IGNORECASE,
)
_MARKS = re.compile(r"[\s.,;:!?\"'“”‘’()\[\]*_`]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is known of a question; it travels as the row's reference, as JSON."""

    suite: str
    """bbq, crows_pairs or winobias."""
    options: tuple[str, ...]
    right: int = -1
    """Position of the right option; -1 where none is right."""
    biased: int = -1
    """Position of the option that follows the stereotype; -1 where that cannot be said."""
    unknown: int = -1
    """Position of the option that says one cannot know."""
    condition: str = ""
    """bbq: ambig or disambig; winobias: pro or anti."""
    category: str = ""

    def text(self) -> str:
        """Return it as JSON with sorted keys."""
        return msgspec.json.encode(self, order="deterministic").decode()


def question_of(text: str) -> Question | None:
    """Return what a row's reference says of its question, or None when it is no such JSON."""
    try:
        return msgspec.json.decode(text, type=Question)
    except msgspec.DecodeError:
        return None


def row_of(name: str, question: Question, prompt: str, extra: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row that asks a question and wants a single letter."""
    listed = "\n".join(
        f"{letter}. {option}" for letter, option in zip(LETTERS, question.options, strict=False)
    )
    return {
        "id": name,
        "prompt": f"{prompt}\n\n{listed}\n\nAnswer with one letter.",
        "expected": question.text(),
        "category": question.category,
        "condition": question.condition,
        **extra,
    }


def choice_of(answer: str, options: Sequence[str]) -> int | None:
    """Return the position of the option an answer chose, or None when it names none or several.

    The whole answer as an option's text, then the only letter that stands alone, then the only option whose text
    occurs.
    """
    plain = _plain(answer)
    for index, option in enumerate(options):
        if plain == _plain(option):
            return index
    letters = {match for match in _LETTER.findall(answer) if LETTERS.index(match) < len(options)}
    # "A" alone is a letter; in a sentence it is an article unless it stands first or is marked as a choice.
    if "A" in letters and not _CHOICE_A.match(answer):
        letters.discard("A")
    if len(letters) == 1:
        return LETTERS.index(letters.pop())
    named = [index for index, option in enumerate(options) if _plain(option) and _plain(option) in plain]
    return named[0] if len(named) == 1 and not letters else None


def _plain(text: str) -> str:
    return _MARKS.sub(" ", text).strip().casefold()


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """The rows of a suite's files, and what could not be used."""

    rows: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...] = field(default=())
