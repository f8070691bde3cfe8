"""Bounds of a request's size, and of an agent that goes round in circles."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from penstock.core.errors import Invalid
from penstock.guardrails.model import About, Action, Document, Hit, Stage
from penstock.guardrails.options import Options
from penstock.guardrails.ports import TOOL_MARKERS, Setting

BYTES_PER_TOKEN = 4


class CapsGuard:
    """Options: `max_chars`, `max_tokens` (estimated), `max_messages`, `max_tools` (offered), `max_calls` (of tools in
    one conversation), `max_repeats` (of one call with the same arguments)."""

    stages: ClassVar = (Stage.INPUT, Stage.OUTPUT, Stage.BOTH)
    actions: ClassVar = (Action.BLOCK, Action.FLAG)
    roles: frozenset[str] = frozenset()

    def __init__(self, options: Mapping[str, Any], setting: Setting) -> None:  # noqa: ARG002 - what every plug-in gets
        given = Options("caps", options)
        names = ("max_chars", "max_tokens", "max_messages", "max_tools", "max_repeats", "max_calls")
        self._caps = {name: int(given.number(name, 0, least=1)) for name in names if name in options}
        given.done()
        if not self._caps:
            raise Invalid("The guard caps needs a bound.", hint="max_tokens = 8000")
        sizes = [self._caps[name] for name in ("max_chars",) if name in self._caps]
        sizes += [self._caps["max_tokens"] * BYTES_PER_TOKEN] if "max_tokens" in self._caps else []
        # A message takes 20 bytes at least in every family: {"role":"user"} and what it says.
        sizes += [self._caps["max_messages"] * 20] if "max_messages" in self._caps else []
        self.above = min(sizes, default=0)
        agents = {"max_tools", "max_repeats", "max_calls"} & set(self._caps)
        self.markers: tuple[bytes, ...] = TOOL_MARKERS if agents else (b"\x00never",)

    def inspect(self, document: Document, about: About) -> Sequence[Hit]:  # noqa: ARG002 - what every guard gets
        """Return a hit for each bound that is passed."""
        size = sum(len(piece.text) for piece in document.pieces)
        size += sum(len(call.arguments) for call in document.calls)
        width = sum(len(piece.text.encode(errors="replace")) for piece in document.pieces)
        repeats = Counter(document.calls).most_common(1)
        measured = {
            "max_chars": size,
            "max_tokens": width // BYTES_PER_TOKEN,
            "max_messages": document.messages,
            "max_tools": len(document.offered),
            "max_repeats": repeats[0][1] if repeats else 0,
            "max_calls": len(document.calls),
        }
        return [Hit(name) for name, cap in self._caps.items() if measured[name] > cap]
