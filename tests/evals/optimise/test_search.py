"""The whole search against a model whose quality truly depends on its prompt."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from statistics import fmean

import pytest
from sqlalchemy import select
from tests.evals.optimise.prompted_model import PromptedModel, prepare, rows, says

from penstock.core import lineage
from penstock.core.errors import Conflict, Invalid, NotFound, Unprocessable
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.evals.calls.ledger import CapReached
from penstock.evals.calls.store import calls
from penstock.evals.optimise import service
from penstock.evals.optimise.desk import Desk
from penstock.evals.optimise.model import Candidate, Optimisation, Part, SearchState
from penstock.evals.optimise.plan import parse_plan
from penstock.prompts import service as prompts
from penstock.prompts.model import Body, Kind

ROOT = Path(__file__).parents[3]


def tried(home: Home, actor: Actor, found: Optimisation) -> dict[str, Candidate]:
    with home.read() as uow:
        return {one.id: one for one in service.candidates(uow, actor, found.id)}


def truth(home: Home, actor: Actor, candidate: Candidate, ids: set[str]) -> float:
    """Return the share of rows the model gets right by this prompt, worked out without the optimiser."""
    with home.read() as uow:
        compiled = prompts.draft(uow, actor, name="triage", body=candidate.body)
    return fmean(
        says(compiled.render({"ticket": row["question"]}).messages) == row["answer"]
        for row in rows(72)
        if row["id"] in ids
    )


def test_it_finds_a_better_prompt_and_says_by_how_much(home: Home, actor: Actor) -> None:
    prepare(home, actor)
    reports: list[dict[str, object]] = []
    with PromptedModel() as model:
        done = service.run(home, actor, plan=parse_plan(model.plan()), progress=reports.append)
    candidates = tried(home, actor, done)
    base, best = candidates["c0"], candidates[str(done.best)]
    assert (done.state, done.error, done.cost_unit) == (SearchState.SUCCEEDED, "", "USD")
    assert done.spent.calls == model.paid.total() == len(model.paid) <= 600
    assert base.held_out is not None and best.held_out is not None and best.gain is not None
    with home.read() as uow:
        answered = {name: service.rows(uow, actor, done.id, name) for name in (base.id, best.id)}
    held = {row.sample_id for row in answered[base.id] if row.part == Part.HELD_OUT}
    assert len(held) == base.held_out.n == best.held_out.n == 36
    assert base.held_out.value == pytest.approx(truth(home, actor, base, held))
    assert best.held_out.value == pytest.approx(truth(home, actor, best, held))
    assert best.held_out.value > base.held_out.value + 0.4
    assert best.gain.verdict == "better"
    assert best.gain.difference == pytest.approx(best.held_out.value - base.held_out.value)
    assert best.gain.low is not None and best.gain.low > 0
    seen = {row.sample_id for rows in answered.values() for row in rows if row.part != Part.HELD_OUT}
    assert not held & seen, "nothing was chosen by a row that the figures come from"
    assert {one.method for one in candidates.values()} >= {"start", "few_shot", "rewrite"}
    assert {str(report["stage"]) for report in reports} >= {"start", "rewrite", "race", "held_out"}
    check_front(candidates, done)


def check_front(candidates: dict[str, Candidate], done: Optimisation) -> None:
    measured = {name: one for name, one in candidates.items() if one.held_out is not None}
    assert "c0" in done.pareto, "nothing is cheaper than the shortest prompt"
    for name, one in measured.items():
        assert one.held_out is not None and one.cost is not None
        beaten = any(
            other.held_out.value >= one.held_out.value
            and other.cost.value <= one.cost.value
            and (other.held_out.value, other.cost.value) != (one.held_out.value, one.cost.value)
            for other in measured.values()
            if other.held_out is not None and other.cost is not None
        )
        assert (name in done.pareto) is not beaten


def test_no_example_is_a_row_that_chooses_or_reports(home: Home, actor: Actor) -> None:
    prepare(home, actor)
    with PromptedModel() as model:
        done = service.run(home, actor, plan=parse_plan(model.plan(methods=["few_shot"], demo_sets=4)))
    candidates = tried(home, actor, done)
    shown = {demo.sample_id for one in candidates.values() for demo in one.draft.demos}
    with home.read() as uow:
        used = {
            row.sample_id
            for name in candidates
            for row in service.rows(uow, actor, done.id, name)
            if row.part != Part.LEARN
        }
    assert shown and not shown & used
    assert model.rewritten == 0
    best = candidates[str(done.best)]
    assert best.method == "few_shot" and best.gain is not None and best.gain.verdict == "better"


CHILD = textwrap.dedent(
    """
    import json, sys
    from penstock.core.auth import service as auth
    from penstock.core.home import Home
    from penstock.evals.optimise import service
    from penstock.evals.optimise.plan import parse_plan

    with Home.open(sys.argv[1]) as home:
        with home.begin() as uow:
            actor = auth.ensure_owner(uow)[0].actor()
        service.run(home, actor, plan=parse_plan(json.loads(sys.argv[2])), key="again")
    """
)


def stored(home: Home) -> set[str]:
    with home.read() as uow:
        return {row.digest for row in uow.conn.execute(select(calls).where(calls.c.answer.is_not(None)))}


def test_killed_it_goes_on_where_it_was_and_pays_for_nothing_twice(home: Home, actor: Actor) -> None:
    prepare(home, actor)
    child: list[subprocess.Popen[bytes]] = []

    def kill(number: int) -> None:
        if number in (20, 130):
            child[-1].send_signal(signal.SIGKILL)

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["src", ".", *sys.path])}
    with PromptedModel(before=kill) as model:
        spec = model.plan(concurrency=4)
        for _ in range(2):
            command = [sys.executable, "-c", CHILD, str(home.path), json.dumps(spec)]
            with subprocess.Popen(command, env=environment, cwd=ROOT) as process:
                child.append(process)
                assert process.wait() == -signal.SIGKILL
            before, paid = stored(home), dict(model.paid)
            assert before
        done = service.run(home, actor, plan=parse_plan(spec), key="again")
        repaid = [key for key in before if model.paid[key] != paid[key]]
        twice = sum(times > 1 for times in model.paid.values())
        whole = service.run(home, actor, plan=parse_plan(spec), key="whole")
    assert repaid == [], "what was stored is not paid for again"
    assert twice <= 2 * 4, "only calls in flight may be asked for again"
    assert done.state is SearchState.SUCCEEDED
    first, second = tried(home, actor, done), tried(home, actor, whole)
    assert [(one.hash, one.held_out, one.gain) for one in first.values()] == [
        (one.hash, one.held_out, one.gain) for one in second.values()
    ], "the search goes the same way as one that nobody killed"
    assert (done.best, done.pareto) == (whole.best, whole.pareto)


def test_the_budget_holds_and_more_of_it_goes_on(home: Home, actor: Actor) -> None:
    prepare(home, actor)
    with PromptedModel() as model:
        with pytest.raises(Unprocessable, match="budget is too small"):
            service.run(home, actor, plan=parse_plan(model.plan(max_calls=50)), key="small")
        assert model.calls == 0, "what cannot be finished is not begun"
        with home.read() as uow:
            failed = service.list_optimisations(uow, actor)[0]
        assert failed.state is SearchState.FAILED
        done = service.resume(home, actor, id=failed.id, max_calls=110)
        assert done.state is SearchState.SUCCEEDED
        assert model.paid.total() == done.spent.calls <= 110
        small = tried(home, actor, done)
        assert sum(one.held_out is not None for one in small.values()) == 2
        capped = parse_plan(model.plan(max_cost_usd=0.02))
        with_cap = service.run(home, actor, plan=capped)
        assert with_cap.spent.cost_usd <= 0.02
        with pytest.raises(CapReached):
            service.run(home, actor, plan=parse_plan(model.plan(max_cost_usd=0.0005)))
    assert service.resume(home, actor, id=done.id) == done, "a finished one is left as it is"


def test_a_cap_reached_on_the_way_ends_the_search_with_the_best_so_far(
    home: Home, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reckoning before each step is made to err, so that only the cap itself holds."""
    prepare(home, actor)
    with PromptedModel() as model:
        with monkeypatch.context() as erring:
            erring.setattr(Desk, "affords", lambda *_: True)
            cut = service.run(home, actor, plan=parse_plan(model.plan(max_calls=100)))
        assert cut.state is SearchState.SUCCEEDED
        assert "cap of 100 calls is reached" in cut.error
        assert cut.spent.calls == model.paid.total() == 100
        found = tried(home, actor, cut)
        best = found[str(cut.best)]
        assert best.selection is not None
        assert best.selection.value == max(
            one.selection.value for one in found.values() if one.selection is not None
        )
        assert cut.pareto == [] or all(found[name].held_out is not None for name in cut.pareto)
        assert service.resume(home, actor, id=cut.id) == cut, "without more budget it stays as it is"
        done = service.resume(home, actor, id=cut.id, max_calls=600)
        assert (done.state, done.error) == (SearchState.SUCCEEDED, "")
        assert done.pareto
        assert done.spent.calls == model.paid.total(), "nothing was paid for twice"


def test_accepting_makes_a_version_with_its_lineage(home: Home, actor: Actor) -> None:
    prepare(home, actor)
    with PromptedModel() as model:
        done = service.run(home, actor, plan=parse_plan(model.plan()))
    with home.begin() as uow:
        version = service.accept(uow, actor, done.id)
        assert version.ref == "triage@2"
        assert version.body.settings == {"temperature": 0, "model": "scripted"}
        assert str(done.best) in version.note and "held-out rows" in version.note
        edges = lineage.neighbours(uow.conn, actor.scope, "prompt_version", "triage@2", direction="up")
        parents = {(edge.parent_kind, edge.parent_ref) for edge in edges}
        assert {
            ("prompt_optimisation", done.id), ("prompt_version", "triage@1"), ("dataset_version", "tickets@1")
        } <= parents  # fmt: skip
        accepted = service.find(uow, actor, done.id).accepted
        assert accepted is not None
        assert (accepted["candidate"], accepted["prompt_version"]) == (done.best, "triage@2")
        assert prompts.find(uow, actor, name="triage").labels == {"latest": 2}
        with pytest.raises(NotFound):
            service.accept(uow, actor, done.id, name="c99")


def test_what_fails_is_said_and_costs_nothing_twice(home: Home, actor: Actor) -> None:
    prepare(home, actor)
    with PromptedModel() as model:
        model.broken = True
        with pytest.raises(Unprocessable, match=r"answers of c0 failed, first with: HTTP 400: no such model"):
            service.run(home, actor, plan=parse_plan(model.plan()), key="broken")
        assert model.paid.total() == 0
        with home.begin() as uow, pytest.raises(Conflict, match="failed"):
            service.accept(uow, actor, service.list_optimisations(uow, actor)[0].id)
        model.broken = False
        done = service.run(home, actor, plan=parse_plan(model.plan()), key="broken")
    assert (done.state, done.error, done.spent.lost) == (SearchState.SUCCEEDED, "", 0)


def test_a_rewriter_that_says_nothing_useful_leaves_the_examples(home: Home, actor: Actor) -> None:
    prepare(home, actor)
    with PromptedModel(rewriter=lambda _messages: "I would rather not.") as model:
        done = service.run(home, actor, plan=parse_plan(model.plan(rewrites=2)))
    assert model.rewritten == 4, "asked once more each time"
    assert not [one for one in tried(home, actor, done).values() if one.method == "rewrite"]
    assert tried(home, actor, done)[str(done.best)].method == "few_shot"


def test_a_text_prompt_keeps_its_places(home: Home, actor: Actor) -> None:
    body = Body(kind=Kind.TEXT, text="Say what it is about: {{ ticket }}")
    prepare(home, actor, body=body)
    lost = iter(range(100))

    def forgetful(messages: list[dict[str, str]]) -> str:
        text = "Say it shortly." if next(lost) % 2 == 0 else "Say in short what it is: {{ ticket }}"
        return f"<instruction>{text}</instruction>"

    with PromptedModel(rewriter=forgetful) as model:
        done = service.run(home, actor, plan=parse_plan(model.plan(rewrites=1)))
    candidates = tried(home, actor, done)
    assert model.rewritten == 2, "instructions without the place were sent back"
    rewritten = [one for one in candidates.values() if one.method == "rewrite"]
    assert [one.body.text for one in rewritten] == ["Say in short what it is: {{ ticket }}"]
    shown = next(one for one in candidates.values() if one.draft.demos)
    assert shown.body.kind is Kind.TEXT
    assert "<example>\nticket: Ticket" in shown.body.text
    assert shown.body.text.endswith("Say what it is about: {{ ticket }}")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": "accuracy"}, "None of the scorers exact gives the metric"),
        ({"prompt": "nobody"}, "There is no prompt"),
        ({"models": [], "scorers": ["exact"]}, "needs a model"),
        ({"models": ["a", "a"]}, "named twice"),
        ({"held_out": "test"}, "no split 'test'"),
        ({"held_out": 1.5}, "between 0 and 1"),
        ({"shots": 0}, "at least 1"),
        ({"shot": 1}, "Unknown key 'shot'"),
        ({"rows": 7.5}, "whole number"),
        ({"seed": "x"}, "whole number"),
        ({"models": 5}, "list of names"),
        ({"models": [None]}, "named by texts"),
        ({"version": "x"}, "a number"),
        ({"rewriter": "x"}, "mapping"),
        ({"held_out": []}, "between 0 and 1"),
        ({"target": {"variables": {"ticket": 5}}}, "name of a column"),
        ({"methods": ["magic"]}, "methods are"),
        ({"target": {"varables": {}}}, "has no option 'varables'"),
    ],
)
def test_what_cannot_be_is_refused(
    home: Home, actor: Actor, changes: dict[str, object], message: str
) -> None:
    prepare(home, actor, count=20)
    with PromptedModel() as model, pytest.raises((Invalid, NotFound), match=message):
        service.run(home, actor, plan=parse_plan(model.plan(**changes)))
