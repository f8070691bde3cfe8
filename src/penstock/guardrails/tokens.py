"""Stand-ins for what was taken out of a request, to be put back into its answer."""

import re

TOKEN = r"<[A-Z][A-Z0-9_]{0,30}_[0-9]{1,6}>"
"""The shape of every stand-in."""
_shape = re.compile(TOKEN)


class Tokens:
    """The stand-ins of one call: equal originals share one, and none is a text that the caller wrote himself."""

    __slots__ = ("_by_original", "_taken", "originals")

    def __init__(self, taken: str = "") -> None:
        """`taken` is all the text in which stand-ins could be mistaken."""
        self._by_original: dict[tuple[str, str], str] = {}
        self._taken = frozenset(_shape.findall(taken)) if "<" in taken else frozenset()
        self.originals: dict[str, str] = {}
        """Stand-in → original."""

    def hidden(self, text: str) -> str:
        """Return `text` with every original that stands in it replaced by its stand-in."""
        for token, original in sorted(self.originals.items(), key=lambda item: -len(item[1])):
            text = text.replace(original, token)
        return text

    def token(self, label: str, original: str) -> str:
        """Return the stand-in of `original`, for example `<EMAIL_1>`."""
        label = re.sub("[^A-Z0-9_]", "_", label.upper())[:30]
        if not label[:1].isalpha():
            label = f"X{label}"[:30]
        found = self._by_original.get((label, original))
        if found is not None:
            return found
        number = 1
        while (token := f"<{label}_{number}>") in self.originals or token in self._taken:
            number += 1
        self._by_original[label, original] = token
        self.originals[token] = original
        return token
