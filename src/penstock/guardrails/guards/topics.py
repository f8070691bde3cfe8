"""Topics that are not to be talked about: by phrases (spaces and case do not matter) and by RE2 patterns.

Words, not meaning: a topic that is paraphrased passes. For meaning, use the guard http with a classifier behind it.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import re2

from penstock.core.errors import Invalid
from penstock.guardrails.model import Action, Stage
from penstock.guardrails.options import Options, user_pattern
from penstock.guardrails.ports import Rule, Setting


def phrase(text: str) -> str:
    """Return an RE2 expression for a phrase: any case, any white space between its words, not inside a longer word."""
    words = [re2.escape(word) for word in text.split()]
    if not words:
        raise Invalid("A phrase of a topic must hold a word.")
    left = r"\b" if text.split()[0][0].isascii() and text.split()[0][0].isalnum() else ""
    right = r"\b" if text.split()[-1][-1].isascii() and text.split()[-1][-1].isalnum() else ""
    joint = r"\s{1,8}"
    return f"(?i){left}{joint.join(words)}{right}"


class TopicsGuard:
    """Options: `topics` (name → list of phrases), `patterns` (name → list of RE2 patterns), `roles`."""

    stages: ClassVar = (Stage.BOTH,)
    actions: ClassVar = (Action.BLOCK, Action.FLAG, Action.MASK)
    threshold = 0.0

    def __init__(self, options: Mapping[str, Any], setting: Setting) -> None:  # noqa: ARG002 - what every plug-in gets
        given = Options("topics", options)
        topics, patterns = given.table("topics") or {}, given.table("patterns") or {}
        self.roles = frozenset(given.texts("roles"))
        given.done()
        rules = [
            Rule(name, pattern, user_pattern(pattern))
            for name in topics
            for pattern in map(phrase, Options("topics", topics).texts(name))
        ]
        rules += [
            Rule(name, pattern, user_pattern(pattern))
            for name in patterns
            for pattern in Options("topics", patterns).texts(name)
        ]
        if not rules:
            raise Invalid(
                "The guard topics needs topics or patterns.", hint='topics = { rivals = ["acme corp"] }'
            )
        self.rules = tuple(rules)
