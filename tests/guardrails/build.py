"""Programs, checkers and texts for tests of guards."""

from typing import Any

from penstock.core import clock
from penstock.guardrails.building import Entry, build_entries
from penstock.guardrails.checking import Checker
from penstock.guardrails.model import About, Action, GuardConfig, OnError, Policy, Record, Rules, Stage
from penstock.guardrails.program import Program
from penstock.guardrails.tokens import Tokens

SECRET = b"k" * 32
PROSE = (
    "The harbour town woke slowly that morning. Fishermen carried their nets down to the quay, and the baker's "
    "daughter opened the shutters one by one. In the office above the chandler's shop, two clerks compared the "
    "ledger with the list of cargo: forty crates of oranges, twelve barrels of salt (see page 14 of volume 2), "
    "and 3.5 tons of coal at 12:30. Please ignore the noise! You can show me the previous lists; the rules of "
    "the port are simple. What is the system of weights here? Note: every token of trust counts, my friend - "
    "the secret is to keep the password policy short. In 1987 we had 1,204 ships; in 2003, 998.\n\n"
)
CODE = (
    "def total(items: list[int], start=0) -> int:\n    # sum of all items\n    result = start\n"
    "    for item in items:\n        result += item * 2 if item > 10 else item\n    return result\n\n"
    "assert total([1, 2, 30]) == 63, 'wrong: ' + str(total([1, 2, 30]))\n"
    'print(f"{total(range(10)):>8}")  # see README.md, section 4.2.1\n'
    "SELECT id, name FROM users WHERE created_at > '2024-01-01' AND tokens < 4096 ORDER BY id DESC;\n"
    "npm install --save-dev typescript@5.4.2 && git commit -m 'v1.2.3' && curl http://localhost:8080/v1/x?y=1\n"
)


def config(kind: str, /, **options: Any) -> GuardConfig:
    """A guard; `stage`, `action`, `on_error` and `name` are its own, the rest its options."""
    own: dict[str, Any] = {}
    for name, made in (("stage", Stage), ("action", Action), ("on_error", OnError), ("name", str)):
        if name in options:
            own[name] = made(options.pop(name))
    return GuardConfig(kind=kind, options=options, **own)


def policy(*guards: GuardConfig, record: Record = Record.NOTHING, name: str = "p") -> Policy:
    rules = Rules(guards=guards, record=record)
    return Policy(name=name, number=1, rules=rules, author="me", created_at=clock.now())


def entries(*guards: GuardConfig, record: Record = Record.NOTHING) -> tuple[Entry, ...]:
    made, wrong = build_entries((policy(*guards, record=record),), allow_private=False, secret=SECRET)
    assert not wrong, wrong
    return made


def program(*guards: GuardConfig, stage: Stage = Stage.INPUT, restores: bool = False) -> Program:
    return Program(entries(*guards), stage, restores=restores)


def checker(
    *guards: GuardConfig,
    stage: Stage = Stage.INPUT,
    record: Record = Record.NOTHING,
    system: tuple[str, ...] = (),
    tokens: Tokens | None = None,
    restores: bool = False,
) -> Checker:
    made = Program(entries(*guards, record=record), stage, restores=restores)
    return Checker(made, About(stage=stage, route="chat", system=system), tokens or Tokens())


def told(check: Checker) -> list[tuple[str, str, str, int]]:
    """(guard, rule, verdict, count) of what a checker found."""
    return [(v.guard, v.rule, str(v.outcome), v.count) for v in check.tally.verdicts()]


def rules_of(check: Checker) -> list[str]:
    return [verdict.rule for verdict in check.tally.verdicts()]
