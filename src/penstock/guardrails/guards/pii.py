"""Personal data by rules and checksums: e-mail, IBAN, payment card, SSN, IP address, phone number."""

from collections.abc import Mapping
from typing import Any, ClassVar

from penstock.core.errors import Invalid
from penstock.core.pii import PiiKind
from penstock.core.pii.rules import RULES
from penstock.core.suggest import did_you_mean
from penstock.guardrails.model import Action, Stage
from penstock.guardrails.options import Options
from penstock.guardrails.ports import Rule, Setting

KINDS = tuple(str(kind) for kind in PiiKind if kind is not PiiKind.SECRET)


class PiiGuard:
    """Options: `kinds` (default all), `roles`."""

    stages: ClassVar = (Stage.BOTH,)
    actions: ClassVar = (Action.MASK, Action.TOKENISE, Action.BLOCK, Action.FLAG)
    threshold = 0.0

    def __init__(self, options: Mapping[str, Any], setting: Setting) -> None:  # noqa: ARG002 - what every plug-in gets
        given = Options("pii", options)
        kinds = given.texts("kinds", KINDS)
        self.roles = frozenset(given.texts("roles"))
        given.done()
        for kind in kinds:
            if kind not in KINDS:
                raise Invalid(f"There is no kind of personal data {kind!r}.", hint=did_you_mean(kind, KINDS))
        self.rules = tuple(
            Rule(str(rule.kind), rule.prefilter, rule.exact, rule.check)
            for rule in RULES
            if rule.kind in kinds
        )
