"""HTTP endpoints, prompts, functions and recorded answers as targets."""

import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from tests.evals.scripted_model import ScriptedModel, completion, reply
from tests.evals.support import answer, ingest, make_suite
from tests.fakes.server import Received, ScriptedServer

from penstock.core import lineage
from penstock.core.errors import Denied, Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor, system_actor
from penstock.datasets import service as datasets
from penstock.evals import service
from penstock.evals.model import Output, RunState, Sample
from penstock.evals.ports import TargetContext
from penstock.evals.suite import ScorerSpec
from penstock.evals.target_choice import named
from penstock.evals.targets.http import HttpTarget, fill
from penstock.prompts import service as prompts
from penstock.prompts.model import Body, Kind, Variable

EXACT = (ScorerSpec(name="exact"),)


def sample(**row: Any) -> Sample:
    messages = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi?"})
    return Sample(id="s1", ordinal=0, messages=messages, row=row)


def test_a_body_is_filled_from_the_sample() -> None:
    template = {
        "q": "$input",
        "all": "$messages",
        "n": "$row.n",
        "deep": ["$row.a.b"],
        "text": "${id}: ${row.n}!",
        "k": 3,
    }
    assert fill(template, sample(n=7, a={"b": [1]})) == {
        "q": "Hi?",
        "all": list(sample().messages),
        "n": 7,
        "deep": [[1]],
        "text": "s1: 7!",
        "k": 3,
    }
    with pytest.raises(Invalid, match=r"\$row.missing"):
        fill("$row.missing", sample())


def ask(home: Home, tmp_path: Path, body: Any, **options: Any) -> tuple[Output, Received]:
    def script(_request: Received) -> Iterable[bytes]:
        return [body if isinstance(body, bytes) else reply("200 OK", body)]

    with ScriptedServer(script) as server:
        context = TargetContext(home=home, actor=system_actor(), workdir=tmp_path)
        target = HttpTarget({"url": f"{server.url}/chat?v=1", "retries": 0, **options}, context)

        async def one() -> Output:
            try:
                return await target.answer(sample(), "k")
            finally:
                await target.close()

        return asyncio.run(one()), server.requests[0]


def test_an_endpoint_answers_with_what_it_used(sqlite_home: Home, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("APP_KEY", "secret")
    body = {
        "data": {"reply": "Hello"},
        "docs": ["a", "b"],
        "calls": [{"name": "search", "arguments": {}}],
        "usd": 0.5,
    }
    output, request = ask(
        sqlite_home,
        tmp_path,
        body,
        output="data.reply",
        contexts="docs",
        tool_calls="calls",
        cost_usd="usd",
        headers={"x-key": {"env": "APP_KEY"}},
    )
    assert (output.text, output.cost_usd, output.error) == ("Hello", 0.5, None)
    assert output.extra == {"contexts": ["a", "b"], "tool_calls": body["calls"]}
    assert (request.path, request.headers["x-key"], request.json) == ("/chat?v=1", "secret", {"input": "Hi?"})


@pytest.mark.parametrize(
    ("body", "text", "error"),
    [
        ({"answer": "A"}, "A", None),
        ({"text": {"a": 1}}, '{"a":1}', None),
        ("plain", "plain", None),
        ({"other": 1}, "", "the answer holds no output"),
        (reply("500 Oops", {"error": {"message": "broken"}}), "", "HTTP 500: broken"),
    ],
)
def test_the_usual_names_are_found(
    sqlite_home: Home, tmp_path: Path, body: Any, text: str, error: str | None
) -> None:
    output, _ = ask(sqlite_home, tmp_path, body)
    assert (output.text, output.error) == (text, error)


def test_forbidden_addresses_are_refused(sqlite_home: Home, tmp_path: Path) -> None:
    context = TargetContext(home=sqlite_home, actor=system_actor(), workdir=tmp_path)
    with pytest.raises(Denied):
        HttpTarget({"url": "http://169.254.169.254/latest"}, context)
    with pytest.raises(Invalid, match="needs a url"):
        HttpTarget({}, context)
    with pytest.raises(Invalid, match="bdoy"):
        HttpTarget({"url": "http://127.0.0.1:1", "bdoy": {}}, context)
    with pytest.raises(Invalid, match="line break"):
        HttpTarget({"url": "http://127.0.0.1:1", "headers": {"a": "b\r\nc: d"}}, context)


def test_a_prompt_is_filled_by_each_row(home: Home, actor: Actor) -> None:
    with home.begin() as uow:
        prompts.create(uow, actor, name="sorter")
        body = Body(
            kind=Kind.CHAT,
            messages=(
                {"role": "system", "content": "Sort."},
                {"role": "user", "content": "Mail: {{ mail }}"},
            ),
            variables=(Variable(name="mail"),),
            settings={"model": "scripted", "temperature": 0.5},
        )
        prompts.add_version(uow, actor, name="sorter", body=body)
    dataset = ingest(home, actor, 6)
    with ScriptedModel(lambda text: text) as model:
        target = {
            "kind": "prompt",
            "prompt": "sorter",
            "variables": {"mail": "prompt"},
            "base_url": model.target["base_url"],
        }
        run = service.run(home, actor, suite=make_suite(dataset, scorers=EXACT, target=target))
        with home.read() as uow:
            found = service.samples(uow, actor, run.id)
            edges = lineage.neighbours(uow.conn, actor.scope, "eval_run", run.id, direction="up")
    assert found[1].output.text == "Mail: Ticket 1: please help with shipping"
    assert run.spec["target"]["version"] == 1, "the version is pinned when the run is made"
    assert ("prompt_version", "sorter@1", "target") in {
        (edge.parent_kind, edge.parent_ref, edge.role) for edge in edges
    }
    with pytest.raises(NotFound):
        service.run(
            home,
            actor,
            suite=make_suite(dataset, scorers=EXACT, target={**target, "prompt": "nothing"}),
        )


def test_recorded_answers_cost_nothing(home: Home, actor: Actor) -> None:
    rows = [
        {"id": str(i), "prompt": f"q{i}", "expected": "yes", "said": "yes" if i < 3 else "no"}
        for i in range(4)
    ]
    datasets.ingest(home, actor, name="old", source=rows, key="id")
    recorded = {"kind": "recorded", "column": "said"}
    run = service.run(home, actor, suite=make_suite("old@1", scorers=EXACT, target=recorded))
    assert run.metric("exact").value == 0.75  # type: ignore[union-attr]
    again = {"kind": "recorded", "run": run.id}
    scorers = (ScorerSpec(name="exact"), ScorerSpec(name="contains"))
    other = service.run(home, actor, suite=make_suite("old@1", scorers=scorers, target=again))
    assert other.metric("contains").value == 0.75  # type: ignore[union-attr]
    with pytest.raises(NotFound):
        service.run(
            home,
            actor,
            suite=make_suite("old@1", scorers=EXACT, target={"kind": "recorded", "run": "evr_no"}),
        )
    with pytest.raises(Invalid, match="not both"):
        service.run(home, actor, suite=make_suite("old@1", scorers=EXACT, target={"kind": "recorded"}))
    with home.read() as uow:
        assert service.list_runs(uow, actor, limit=1)[0].state is RunState.FAILED


def test_a_function_by_its_path(
    home: Home, actor: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_pipeline.py").write_text(
        "from penstock.evals.model import Output\n"
        "class App:\n"
        "    @staticmethod\n"
        "    async def ask(sample):\n"
        "        return Output(sample_id=sample.id, text='x', extra={'contexts': ['c']})\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    target = {"kind": "function", "function": "my_pipeline:App.ask"}
    try:
        run = service.run(home, actor, suite=make_suite(ingest(home, actor, 3), scorers=EXACT, target=target))
    finally:
        sys.modules.pop("my_pipeline", None)
    with home.read() as uow:
        assert service.samples(uow, actor, run.id)[0].output.extra == {"contexts": ["c"]}
    for wrong, error in (
        ("nowhere:f", "cannot be loaded"),
        ("os", "needs function"),
        ("os:sep", "no function"),
    ):
        with pytest.raises(Invalid, match=error):
            service.run(
                home,
                actor,
                suite=make_suite("tickets@1", scorers=EXACT, target={"kind": "function", "function": wrong}),
            )


def test_a_route_or_a_deployment_is_a_name_at_the_gateway(home: Home, actor: Actor) -> None:
    dataset = ingest(home, actor, 3)
    seen: list[str] = []

    def script(request: Received) -> Iterable[bytes]:
        seen.append(request.json["model"])
        return [completion(str(answer(set())(Sample(id="t0", ordinal=0, messages=()))))]

    with ScriptedServer(script) as server:
        for kind in ("route", "deployment"):
            target = {"kind": kind, kind: "triage", "base_url": f"{server.url}/v1"}
            run = service.run(home, actor, suite=make_suite(dataset, scorers=EXACT, target=target))
            assert (run.state, run.model) == (RunState.SUCCEEDED, "triage")
    assert seen == ["triage"] * 6
    with pytest.raises(Invalid, match="needs route"):
        service.run(home, actor, suite=make_suite(dataset, scorers=EXACT, target={"kind": "route"}))


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({"kind": "prompt", "prompt": "solve", "version": 2, "model": "chat"}, "solve@2 · chat"),
        ({"kind": "prompt", "prompt": "solve", "label": "production"}, "solve@production"),
        ({"kind": "prompt", "prompt": "solve"}, "solve"),
        ({"kind": "gateway", "model": "chat"}, "chat"),
    ],
)
def test_what_answers_is_named(target: dict[str, Any], words: str) -> None:
    assert named(target) == words
