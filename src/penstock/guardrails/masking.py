"""Keys and passwords taken out of what is stored: the secrets guard's rules as a masker of traces."""

from collections.abc import Mapping
from typing import Any

import re2

from penstock.guardrails.guards.secrets import SecretsGuard
from penstock.guardrails.model import Action, Stage
from penstock.guardrails.ports import Setting


class SecretsMasker:
    """Options: those of the guard `secrets` (`kinds`); a find becomes `[AWS_KEY]`, `[JWT]`, …"""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._rules = SecretsGuard(options, Setting(stage=Stage.BOTH, action=Action.MASK)).rules
        self._prefilter = re2.Set.SearchSet()
        for rule in self._rules:
            self._prefilter.Add(rule.prefilter)
        self._prefilter.Compile()

    def mask(self, text: str) -> str:
        """Return `text` with each find replaced by its kind."""
        for place in sorted(self._prefilter.Match(text.encode(errors="replace")) or ()):
            rule = self._rules[place]
            parts, position = [], 0
            for match in rule.exact.finditer(text):
                length = rule.check(match.group())
                if length:
                    parts += [text[position : match.start()], f"[{rule.name.upper()}]"]
                    position = match.start() + length
            text = "".join(parts) + text[position:]
        return text
