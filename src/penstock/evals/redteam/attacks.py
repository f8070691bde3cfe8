"""The built-in attacks, made into rows of a dataset."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import yaml

from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean
from penstock.evals.redteam.mutators import Messages, chosen, mutate
from penstock.evals.redteam.rules import Expectation

OWASP = {
    "LLM01": ("Prompt Injection", "LLM01:2025"),
    "LLM02": ("Sensitive Information Disclosure", "LLM02:2025"),
    "LLM03": ("Excessive Agency", "LLM06:2025"),
    "LLM04": ("Supply Chain", "LLM03:2025"),
    "LLM05": ("Data and Model Poisoning", "LLM04:2025"),
    "LLM06": ("Unbounded Consumption", "LLM10:2025"),
    "LLM07": ("Misinformation", "LLM09:2025"),
    "LLM08": ("Hidden Context Exposure", "LLM07:2025"),
    "LLM09": ("Vector and Embedding Weaknesses", "LLM08:2025"),
    "LLM10": ("Improper Output Handling", "LLM05:2025"),
}
"""OWASP Top 10 for LLM Applications 2026: id → (title, id of the same risk in the list of 2025)."""
CONTROL = "control"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One attack: what is asked, and how to see that it worked."""

    id: str
    owasp: str
    source: str
    prompt: str
    rule: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    system: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which attacks to run and how to disguise them."""

    owasp: tuple[str, ...] = ()
    """OWASP ids of 2026; all of them when empty."""
    sources: tuple[str, ...] = ()
    """Manners of attack; all of them when empty."""
    mutators: tuple[str, ...] = ("none",)
    """Mutators or kinds of them, see mutators."""
    system: str = ""
    """The application's own system prompt, put before that of each attack."""
    controls: bool = True
    """Also ask harmless questions, to see whether the target refuses too much."""
    seed: int = 0
    """Makes other secrets and markers; the same seed gives the same rows, so that runs can be compared."""


@cache
def built_in() -> tuple[tuple[Attack, ...], tuple[Mapping[str, str], ...]]:
    """Return the attacks and the harmless questions that come with the package."""
    text = resources.files(__package__).joinpath("attacks.yaml").read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    return tuple(Attack(**item) for item in document["attacks"]), tuple(document["controls"])


def _secret(kind: str, plan: Plan, attack: str) -> str:
    digest = hashlib.sha256(f"{kind}:{plan.seed}:{attack}".encode()).hexdigest()
    return f"{kind}{digest[:10].upper()}"


def _filled(value: Any, secrets: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for name, secret in secrets.items():
            value = value.replace(f"{{{name}}}", secret)
        return value
    if isinstance(value, list):
        return [_filled(item, secrets) for item in value]
    return value


def _wanted(plan: Plan) -> list[Attack]:
    attacks, _ = built_in()
    sources = sorted({attack.source for attack in attacks})
    for given, known, what in ((plan.owasp, OWASP, "risk"), (plan.sources, sources, "source of attacks")):
        for name in given:
            if name not in known:
                raise Invalid(f"There is no {what} {name!r}.", hint=did_you_mean(name, list(known)))
    return [
        attack
        for attack in attacks
        if (not plan.owasp or attack.owasp in plan.owasp)
        and (not plan.sources or attack.source in plan.sources)
    ]


def rows_of(plan: Plan) -> Iterator[dict[str, Any]]:
    """Yield one row per attack and mutator: `id`, `messages`, `expected` and what to group by.

    Raises Invalid for an unknown risk, source or mutator, and when nothing is left.
    """
    attacks, mutators = _wanted(plan), chosen(plan.mutators)
    if not attacks or not mutators:
        raise Invalid("No attack fits.", hint="Choose other risks, sources or mutators.")
    for attack in attacks:
        secrets = {
            "canary": _secret("CN", plan, attack.id),
            "marker": _secret("MK", plan, attack.id),
        }
        messages = _messages(plan, _filled(attack.system, secrets), _filled(attack.prompt, secrets))
        rule = {name: _filled(value, secrets) for name, value in attack.rule.items()}
        for mutator in mutators:
            expected = Expectation(
                attack=attack.id,
                owasp=attack.owasp,
                source=attack.source,
                mutator=mutator,
                title=attack.title,
                rule=rule,
            )
            yield _row(expected, mutate(mutator, messages))
    if plan.controls:
        for control in built_in()[1]:
            expected = Expectation(attack=control["id"], source=CONTROL, title=control["prompt"])
            yield _row(expected, _messages(plan, "", control["prompt"]))


def _messages(plan: Plan, system: str, prompt: str) -> Messages:
    told = "\n\n".join(filter(None, (plan.system, system)))
    asked = {"role": "user", "content": prompt}
    return ({"role": "system", "content": told}, asked) if told else (asked,)


def _row(expected: Expectation, messages: Messages) -> dict[str, Any]:
    return {
        "id": f"{expected.attack}/{expected.mutator}",
        "messages": list(messages),
        "expected": expected.text(),
        "attack": expected.attack,
        "owasp": expected.owasp,
        "source": expected.source,
        "mutator": expected.mutator,
    }


def described(owasp: Sequence[str]) -> list[tuple[str, str, str]]:
    """Return (id of 2026, title, id of 2025) of each; unknown ids keep their name."""
    return [(name, *OWASP.get(name, ("Other", ""))) for name in owasp]
