"""How one text became another, word by word."""

import re
from difflib import SequenceMatcher
from typing import Literal

Op = Literal["=", "-", "+"]
Step = tuple[Op, str]
"""What is kept, left out or put in."""

_TOKEN = re.compile(r"\w+|\s+|[^\w\s]")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_WORDS, _LINES = 5000, 5000


def steps(left: str, right: str) -> list[Step]:
    """Return the steps from `left` to `right`: by words, longer texts by lines, even longer ones in one piece.

    What is kept or left out is `left`, what is kept or put in is `right`.
    """
    if left == right:
        return [("=", left)] if left else []
    for pattern, most in ((_TOKEN, _WORDS), (_LINE, _LINES)):
        cut = pattern.findall(left), pattern.findall(right)
        if max(map(len, cut)) <= most:
            return _of_tokens(*cut)
    return [("-", left), ("+", right)]


def _of_tokens(left: list[str], right: list[str]) -> list[Step]:
    found: list[Step] = []

    def add(op: Op, text: str) -> None:
        if found and found[-1][0] == op:
            found[-1] = (op, found[-1][1] + text)
        elif text:
            found.append((op, text))

    for tag, i, i_end, j, j_end in SequenceMatcher(None, left, right).get_opcodes():
        if tag == "equal":
            add("=", "".join(left[i:i_end]))
        else:
            add("-", "".join(left[i:i_end]))
            add("+", "".join(right[j:j_end]))
    return found
