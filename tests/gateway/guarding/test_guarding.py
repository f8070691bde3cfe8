"""Which policies hold for which calls, and how they change."""

from penstock.core.scope import Scope
from penstock.gateway.guarding.guarding import Guarding
from penstock.gateway.guarding.programs import anchored
from penstock.guardrails.model import GuardConfig
from tests.gateway.guarding.support import FakeCall, FakeCaller, Remote, guarding, pii, policy, rails


def test_without_policies_there_are_no_guards() -> None:
    assert guarding().for_call(FakeCall(), "m") is None
    assert guarding(policy(pii())).for_call(FakeCall(scope=None), "m") is None


def test_policies_hold_by_route_key_and_project() -> None:
    made = guarding(policy(pii(), routes=("gpt-*",), keys=("mine",)))
    assert made.for_call(FakeCall(), "gpt-4") is not None
    assert made.for_call(FakeCall(), "claude") is None
    assert made.for_call(FakeCall(caller=FakeCaller(name="other")), "gpt-4") is None
    assert (
        made.for_call(FakeCall(scope=Scope("default", "other")), "gpt-4") is not None
    )  # shared by the default project
    elsewhere = guarding(policy(pii()), scope=Scope("default", "other"))
    assert elsewhere.for_call(FakeCall(), "gpt-4") is None
    assert made.for_call(FakeCall(scope=Scope("another", "default")), "gpt-4") is None


def test_programs_are_shared_and_ordered() -> None:
    late, early = policy(pii(), name="a", order=200), policy(GuardConfig(kind="secrets"), name="b", order=1)
    made = guarding(late, early)
    one, two = made.for_call(FakeCall(), "x"), made.for_call(FakeCall(), "y")
    assert one is not None and two is not None
    assert one._programs is two._programs
    assert [entry.label for entry in one._programs.input.program.entries] == ["secrets", "pii"]


def test_refresh_takes_what_changed_and_keeps_what_did_not() -> None:
    state = {"now": rails((policy(pii()),))}
    made = Guarding(lambda: state["now"], Remote(), revision=lambda: state["now"].revision)
    first = made.for_call(FakeCall(), "m")
    assert first is not None and not made.refresh()
    state["now"] = rails((policy(pii()),), revision=2)
    assert made.refresh()
    same = made.for_call(FakeCall(), "m")
    assert same is not None and same._programs is first._programs
    newer = policy(GuardConfig(kind="secrets"), number=2)
    state["now"] = rails((newer,), revision=3)
    assert made.refresh()
    changed = made.for_call(FakeCall(), "m")
    assert changed is not None and changed._programs is not first._programs
    state["now"] = rails((), revision=4)
    assert made.refresh() and made.for_call(FakeCall(), "m") is None


def test_anchors_are_told_from_what_only_looks_like_them() -> None:
    assert all(map(anchored, ["^a", "a$", r"\Aa", r"(?:a|^b)", r"[^a]$", r"a\z", r"\\^"]))
    assert not any(
        map(anchored, [r"\^a", "[^a]", "[$^]", r"a\$b", r"[]^]", r"[\]^]", r"\bword\b", "[[:alpha:]^]"])
    )
