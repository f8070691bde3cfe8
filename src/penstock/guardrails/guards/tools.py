"""Which tools may be offered to a model and called by it."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, ClassVar

from penstock.core.errors import Invalid
from penstock.guardrails.model import About, Action, Document, Hit, Stage
from penstock.guardrails.options import Options
from penstock.guardrails.ports import TOOL_MARKERS, Setting


class ToolsGuard:
    """Options: `allow`, `deny`: patterns of tool names; a name must match `allow` (if given) and not `deny`."""

    stages: ClassVar = (Stage.BOTH,)
    actions: ClassVar = (Action.BLOCK, Action.FLAG)
    roles: frozenset[str] = frozenset()
    markers = TOOL_MARKERS
    above = 0

    def __init__(self, options: Mapping[str, Any], setting: Setting) -> None:  # noqa: ARG002 - what every plug-in gets
        given = Options("tools", options)
        self._allow = given.texts("allow") if "allow" in options else None
        self._deny = given.texts("deny")
        given.done()
        if self._allow is None and not self._deny:
            raise Invalid("The guard tools needs allow or deny.", hint='allow = ["search_*"]')

    def _good(self, name: str) -> bool:
        allowed = self._allow is None or any(fnmatchcase(name, pattern) for pattern in self._allow)
        return allowed and not any(fnmatchcase(name, pattern) for pattern in self._deny)

    def inspect(self, document: Document, about: About) -> Sequence[Hit]:  # noqa: ARG002 - what every guard gets
        """Return a hit for each tool offered, and each one called, that is not allowed."""
        offered = [Hit("offered") for name in document.offered if not self._good(name)]
        return offered + [Hit("called") for call in document.calls if not self._good(call.name)]
