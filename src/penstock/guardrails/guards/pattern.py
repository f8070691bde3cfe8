"""Patterns of your own (RE2)."""

from collections.abc import Mapping
from typing import Any, ClassVar

from penstock.core.errors import Invalid
from penstock.guardrails.model import Action, Stage
from penstock.guardrails.options import Options, user_pattern
from penstock.guardrails.ports import Rule, Setting


class PatternGuard:
    """Options: `patterns` (name → RE2 pattern or list of them; the name is what a mask shows), `roles`."""

    stages: ClassVar = (Stage.BOTH,)
    actions: ClassVar = (Action.MASK, Action.TOKENISE, Action.BLOCK, Action.FLAG)
    threshold = 0.0

    def __init__(self, options: Mapping[str, Any], setting: Setting) -> None:  # noqa: ARG002 - what every plug-in gets
        given = Options("pattern", options)
        patterns = given.table("patterns") or {}
        self.roles = frozenset(given.texts("roles"))
        given.done()
        lists = {name: [each] if isinstance(each, str) else each for name, each in patterns.items()}
        named = Options("pattern", lists)
        self.rules = tuple(
            Rule(name, pattern, user_pattern(pattern)) for name in lists for pattern in named.texts(name)
        )
        if not self.rules:
            raise Invalid("The guard pattern needs patterns.", hint='patterns = { ticket = "TCK-[0-9]{6}" }')
