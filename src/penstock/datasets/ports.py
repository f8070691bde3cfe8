"""What datasets ask of layers above them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol


class Reply(NamedTuple):
    """A model's answer."""

    text: str
    cost_usd: float | None
    """None when nobody knows the price."""


class Model(Protocol):
    """Asks models; plug-ins of the group `penstock.models` are made as `plugin(home, actor)` and fill it in."""

    def ask(
        self, model: str, messages: Sequence[Mapping[str, str]], *, temperature: float, max_tokens: int
    ) -> Reply:
        """Return the model's answer to chat messages; raises PenstockError. Called by several threads at once."""

    def close(self) -> None:
        """Give back what was opened."""
