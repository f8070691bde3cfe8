"""Checkers: actions, overlaps, stand-ins, verdicts without content, guards that fail."""

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from penstock.core import net
from penstock.core.errors import Invalid, PenstockError, Unavailable
from penstock.guardrails.building import Entry, build_entries, build_guard
from penstock.guardrails.checking import Checker
from penstock.guardrails.model import About, Action, Document, GuardConfig, Hit, OnError, Record, Stage
from penstock.guardrails.program import Program
from penstock.guardrails.tokens import Tokens
from tests.guardrails.build import SECRET, checker, config, entries, policy, told

MAIL = "jane.doe@example.com"


@pytest.mark.parametrize(
    ("action", "changed", "verdict"),
    [
        ("mask", "to [EMAIL] or [EMAIL]", "modify"),
        ("tokenise", "to <EMAIL_1> or <EMAIL_1>", "modify"),
        ("block", f"to {MAIL} or {MAIL}", "deny"),
        ("flag", f"to {MAIL} or {MAIL}", "flag"),
    ],
)
def test_each_action_does_what_it_says(action: str, changed: str, verdict: str) -> None:
    check = checker(config("pii", action=action))
    assert check.text(f"to {MAIL} or {MAIL}") == changed
    assert told(check) == [("pii", "email", verdict, 2)]
    assert (check.tally.error is not None) == (verdict == "deny")


def test_what_was_taken_out_comes_back_in_the_answer() -> None:
    tokens = Tokens("the caller wrote <EMAIL_1> himself")
    check = checker(config("pii", action="tokenise"), tokens=tokens)
    sent = check.text(f"the caller wrote <EMAIL_1> himself; mail {MAIL}")
    assert sent == "the caller wrote <EMAIL_1> himself; mail <EMAIL_2>"
    answer = checker(config("pii", action="tokenise"), stage=Stage.OUTPUT, tokens=tokens, restores=True)
    assert (
        answer.text("I wrote to <EMAIL_2>, not <EMAIL_1> or <EMAIL_9>")
        == f"I wrote to {MAIL}, not <EMAIL_1> or <EMAIL_9>"
    )
    assert answer.text('{"to":"<EMAIL_2>"}', source=True) == f'{{"to":"{MAIL}"}}'


def test_originals_are_escaped_once_where_they_stand_in_source() -> None:
    given = config("pattern", action="tokenise", patterns={"name": "Q[^Q]*Q"})
    check = checker(given)
    assert check.text('{"x":"Q\\"a\\nQ"}', source=True) == '{"x":"<NAME_1>"}'
    assert check.tokens.originals == {"<NAME_1>": 'Q"a\nQ'}
    back = checker(given, stage=Stage.OUTPUT, tokens=check.tokens, restores=True)
    assert back.text('{"y":"<NAME_1>"}', source=True) == '{"y":"Q\\"a\\nQ"}'
    assert back.text("<NAME_1>") == 'Q"a\nQ'


def test_where_finds_overlap_the_guard_that_comes_first_wins() -> None:
    wide = config("pattern", patterns={"line": "to [a-z.@]+"})
    assert checker(config("pii"), wide).text(f"to {MAIL}") == "to [EMAIL]"
    assert checker(wide, config("pii")).text(f"to {MAIL}") == "[LINE]"
    both = checker(config("pii", action="flag"), wide)
    assert both.text(f"to {MAIL}") == "[LINE]"
    assert [line[1] for line in told(both)] == ["email", "line"]


def test_of_several_refusals_the_first_guards_counts() -> None:
    check = checker(
        config("pattern", name="late", action="flag", patterns={"a": "x"}),
        config("pattern", name="first", action="block", patterns={"b": "z"}),
        config("pii", action="block"),
    )
    check.text(f"{MAIL} x")
    check.text("z")
    assert check.tally.denial is not None
    assert check.tally.denial.label == "first"
    assert isinstance(check.tally.error, Invalid)
    assert check.tally.error.details["code"] == "content_filter"


def test_verdicts_never_hold_content_and_hashes_only_when_asked() -> None:
    plain = checker(config("pii", action="block"))
    plain.text(f"mail {MAIL}")
    (verdict,) = plain.tally.verdicts()
    assert verdict.hashes == ()
    assert "jane" not in repr(verdict.attributes()) + str(plain.tally.error)
    assert verdict.attributes() == {
        "guard": "pii", "rule": "email", "verdict": "deny", "score": 1.0, "policy": "p@1", "stage": "input", "count": 1
    }  # fmt: skip
    hashed = checker(config("pii"), record=Record.HASH)
    hashed.text(f"mail {MAIL} and {MAIL} and john@example.com")
    (verdict,) = hashed.tally.verdicts()
    digest = hmac.new(SECRET, MAIL.encode(), hashlib.sha256).hexdigest()[:32]
    assert len(verdict.hashes) == 2
    assert verdict.hashes[0] == digest
    assert verdict.attributes()["content_hash"].startswith(digest)


def test_hashes_are_bounded() -> None:
    check = checker(config("pii"), record=Record.HASH)
    check.text(" ".join(f"p{number}@example.com" for number in range(50)))
    (verdict,) = check.tally.verdicts()
    assert (verdict.count, len(verdict.hashes)) == (50, 5)


class Broken:
    """A plug-in that fails at its work, quoting what it was given."""

    stages = (Stage.BOTH,)
    actions = (Action.BLOCK, Action.MASK)
    roles: frozenset[str] = frozenset()
    markers = ()
    above = 0

    def inspect(self, document: Document, about: About) -> list[Hit]:
        raise ValueError(repr(document))

    def judge(self, text: str, about: About) -> list[Hit]:
        raise ValueError(text)


class Loud:
    """A plug-in that judges whole texts and points at what it means."""

    stages = (Stage.BOTH,)
    actions = (Action.MASK,)
    roles: frozenset[str] = frozenset()

    def judge(self, text: str, about: About) -> list[Hit]:
        return [Hit("loud", 0.5, at, at + 1) for at, char in enumerate(text) if char == "!"]


def custom(guard: Any, *, on_error: OnError = OnError.CLOSED, action: Action = Action.BLOCK) -> Entry:
    (entry,) = entries(config("pii"))
    return replace(entry, guard=guard, on_error=on_error, action=action, label="own")


def run(entry: Entry, stage: Stage = Stage.INPUT) -> Checker:
    return Checker(Program((entry,), stage), About(stage=stage), Tokens())


def test_a_guard_that_fails_refuses_or_lets_go_as_it_is_set(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        closed = run(custom(Broken()))
        assert closed.judge("my secret text") == "my secret text"
        closed.document(Document(), closed.program.documents)
        assert isinstance(closed.tally.error, Unavailable)
        assert told(closed) == [("own", "error:ValueError", "deny", 2)]
        opened = run(custom(Broken(), on_error=OnError.OPEN))
        opened.judge("my secret text")
        assert opened.tally.error is None
        assert told(opened) == [("own", "error:ValueError", "flag", 1)]
    assert "my secret" not in caplog.text + str(closed.tally.error)


def test_a_plugin_of_ones_own_judges_and_masks() -> None:
    check = run(custom(Loud(), action=Action.MASK))
    assert check.judge("no! not! ") == "no[LOUD] not[LOUD] "
    assert told(check) == [("own", "loud", "modify", 2)]


def test_a_guard_that_is_gone_fails_as_it_is_set() -> None:
    gone = GuardConfig(kind="vanished", on_error=OnError.CLOSED)
    made, wrong = build_entries((policy(gone, config("pii")),), allow_private=False, secret=SECRET)
    assert "vanished" in wrong[0]
    closed = Checker(Program(made, Stage.INPUT), About(stage=Stage.INPUT), Tokens())
    assert isinstance(closed.tally.error, Unavailable)
    assert closed.text(MAIL) == "[EMAIL]"


class Wire:
    """A transport that answers what it is told to, checking addresses like the real one."""

    def __init__(self, answer: bytes = b"{}", status: int = 200, error: Exception | None = None) -> None:
        self.answer, self.status, self.error = answer, status, error
        self.sent: list[tuple[str, bytes, Mapping[str, str], float]] = []

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], *, timeout: float, allow_private: bool
    ) -> tuple[int, bytes]:
        self.sent.append((url, body, headers, timeout))
        if self.error is not None:
            raise self.error
        return self.status, self.answer


def remote(**options: Any) -> GuardConfig:
    return config("http", url="https://guard.example/check", **options)


def ask(check: Checker, wire: Wire, *, late: bool = False, text: str = "hello") -> str:
    return asyncio.run(check.ask(text, wire, late=late))


def test_a_remote_guard_allows_changes_flags_and_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARD_TOKEN", "s3cr3t")
    wire = Wire(b'{"action": "allow"}')
    check = checker(remote(token_env="GUARD_TOKEN", timeout=2))
    assert ask(check, wire) == "hello"
    assert check.tally.empty
    ((url, body, headers, timeout),) = wire.sent
    assert (url, timeout, headers["authorization"]) == ("https://guard.example/check", 2, "Bearer s3cr3t")
    assert b'"text":"hello"' in body
    assert b'"stage":"input"' in body
    check = checker(remote())
    assert (
        ask(check, Wire(b'{"action": "modify", "text": "HELLO", "rule": "shout", "score": 0.4}')) == "HELLO"
    )
    assert told(check) == [("http", "shout", "modify", 1)]
    check = checker(remote())
    assert ask(check, Wire(b'{"action": "flag", "rule": "odd"}')) == "hello"
    assert told(check) == [("http", "odd", "flag", 1)]
    check = checker(remote())
    ask(check, Wire(b'{"action": "block"}'))
    assert told(check) == [("http", "http", "deny", 1)]


@pytest.mark.parametrize(
    "wire",
    [
        Wire(b"nonsense"),
        Wire(b'{"action": "explode"}'),
        Wire(b'{"action": "modify"}'),
        Wire(b"{}", status=500),
        Wire(error=Unavailable("no answer")),
        Wire(error=OSError("reset")),
    ],
)
def test_a_remote_guard_that_fails_refuses_or_lets_go_as_it_is_set(wire: Wire) -> None:
    closed = checker(remote())
    assert ask(closed, wire) == "hello"
    assert isinstance(closed.tally.error, Unavailable)
    opened = checker(remote(on_error="open"))
    ask(opened, wire)
    assert opened.tally.error is None
    assert told(opened)[0][2] == "flag"


def test_a_remote_guard_that_comes_after_the_text_can_only_flag() -> None:
    given = remote(stream="after")
    wire = Wire(b'{"action": "block", "rule": "bad"}')
    check = checker(given, stage=Stage.OUTPUT)
    assert ask(check, wire, late=True) == "hello"
    assert told(check) == [("http", "bad", "flag", 1)]
    whole = checker(given, stage=Stage.OUTPUT)  # an answer that is not streamed waits for everybody
    ask(whole, wire)
    assert told(whole) == [("http", "bad", "deny", 1)]


def test_a_remote_guard_may_not_point_inside() -> None:
    for url in (
        "http://127.0.0.1:1/",
        "http://169.254.169.254/latest",
        "http://[::1]/",
        "http://user:pw@x.example/",
    ):
        with pytest.raises(PenstockError):
            build_guard(config("http", url=url), policy="p", allow_private=False, secret=b"")
    build_guard(config("http", url="http://127.0.0.1:1/"), policy="p", allow_private=True, secret=b"")
    with pytest.raises(PenstockError):
        net.check_url("http://169.254.169.254/", allow_private=True)


def test_a_set_that_is_too_large_is_refused_and_a_large_one_works() -> None:
    phrases = [f"forbidden phrase number {number}" for number in range(1000)]
    check = checker(config("topics", action="flag", topics={"all": phrases}))
    check.text("this is Forbidden  phrase number 777, no more")
    assert told(check) == [("topics", "all", "flag", 1)]
    huge = {
        f"t{number}": [f"(?i)[a-z]{{900}}{n}[^x]{{900}}" for n in range(number, number + 40)]
        for number in range(20)
    }
    with pytest.raises(Invalid, match="too many"):
        checker(config("topics", action="flag", patterns=huge))


def test_the_word_that_proves_a_set_works_is_no_find() -> None:
    check = checker(config("pii"))
    assert check.text("penstock-probe-9f1c4e77a2 a@example.com") == "penstock-probe-9f1c4e77a2 [EMAIL]"
