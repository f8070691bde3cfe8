"""What plug-ins of traces provide."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol


class Masker(Protocol):
    """Takes out of a text what must not be stored; used by several threads at once."""

    def mask(self, text: str) -> str:
        """Return `text` with what was found replaced; masking twice changes nothing more than masking once."""
        ...


MaskerFactory = Callable[[Mapping[str, Any]], Masker]
"""What a plug-in of the group `penstock.maskers` is: options → masker; raises Invalid for unknown options."""
