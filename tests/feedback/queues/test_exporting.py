"""What a queue's answers become, on both databases."""

from typing import Any

import pytest
from tests.feedback.queues.support import QUALITY, answer, calls, overview, person, queue, rows, take, took

from penstock.app import policies
from penstock.core import lineage
from penstock.core.errors import Denied, Invalid
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.datasets import service as datasets
from penstock.feedback import service as feedback
from penstock.feedback.queues import exporting, service

ANN, BOB, CY = person("ann"), person("bob"), person("cy")
FIX = {"name": "correction", "type": "correction", "required": False}
SIDE = {"name": "better", "type": "preference"}


def made_rows(home: Home, actor: Actor, ref: str) -> list[dict[str, Any]]:
    return [dict(row) for row in datasets.rows(home, actor, ref)]


def answer_all(home: Home, who: Actor, *values: dict[str, Any]) -> list[str]:
    done = []
    for one in values:
        item = took(home, who).item.id
        answer(home, who, item, **one)
        done.append(item)
    return done


def test_labels_with_their_lineage(home: Home, actor: Actor) -> None:
    traces = calls(home, actor, 3)
    made = queue(home, actor, source={"trace_ids": traces}, overlap=2)
    answer_all(home, ANN, {"quality": "good"}, {"quality": "good"}, {"quality": "good"})
    items = answer_all(home, BOB, {"quality": "good"}, {"quality": "bad"}, {"quality": "good"})
    with home.begin() as uow:
        service.adjudicate(uow, actor, item_id=items[2], values={"quality": "fair"})
    done = service.export(home, actor, name="review", dataset="judged")
    assert (done.rows, done.skipped) == (2, {exporting.NO_MAJORITY: 1})
    first, second = made_rows(home, actor, "judged@1")
    assert first["messages"] == [{"role": "user", "content": "question 0"}]
    assert (first["output"], first["label_quality"], first["adjudicated"]) == ("answer 0", "good", False)
    assert (second["label_quality"], second["adjudicated"], len(second["judgements"])) == ("fair", True, 2)
    with home.read() as uow:
        edges = lineage.neighbours(uow.conn, actor.scope, "dataset_version", "judged@1")
        parents = {(edge.parent_kind, edge.parent_ref) for edge in edges if edge.parent_kind != "file"}
        judged = {("judgement", one) for row in (first, second) for one in row["judgements"]}
        assert parents == judged | {("trace", traces[0]), ("trace", traces[2]), ("queue", made.id)}
        policies.install()
        called = lineage.names_of(uow, actor.scope, parents | {("queue", "que_gone")})
        assert called == {("queue", made.id): made.spec.name}
        of_one = lineage.neighbours(uow.conn, actor.scope, "judgement", first["judgements"][0])
        assert ("trace", traces[0]) in {(edge.parent_kind, edge.parent_ref) for edge in of_one}


def test_an_adjudicator_decides_and_can_decide_again(home: Home, actor: Actor) -> None:
    (trace,) = calls(home, actor, 1)
    queue(home, actor, source={"query": ""}, overlap=2)
    item = answer_all(home, ANN, {"quality": "good"})[0]
    answer_all(home, BOB, {"quality": "bad"})
    assert overview(home, actor).progress.disputed == 1
    for value in ("bad", "fair"):
        with home.begin() as uow:
            service.adjudicate(uow, actor, item_id=item, values={"quality": value}, comment="looked twice")
    assert overview(home, actor).progress.disputed == 0
    with home.read() as uow:
        found = feedback.list_feedback(uow, actor, trace_id=trace)
        assert sorted((one.source, one.text) for one in found) == [
            ("adjudicator", "fair"),
            ("annotator", "bad"),
            ("annotator", "good"),
        ]
        (item_now, _) = service.list_items(uow, actor, name="review", state="adjudicated")[0]
        assert (item_now.final, item_now.adjudicated_by) == ({"quality": "fair"}, actor.name)
    with home.begin() as uow, pytest.raises(Denied):
        service.adjudicate(uow, ANN, item_id=item, values={"quality": "good"})


def test_corrections_become_examples_and_pairs(home: Home, actor: Actor) -> None:
    calls(home, actor, 4)
    queue(home, actor, labels=[QUALITY, FIX], source={"query": ""})
    seen = []
    for values in (
        {"quality": "bad", "correction": "better"},
        {"quality": "good"},
        {"quality": "bad"},
    ):
        taken = took(home, ANN)
        seen.append(taken.content["output"])
        answer(home, ANN, taken.item.id, **values)
    done = service.export(home, actor, name="review", dataset="sft", kind="sft", accept={"quality": "good"})
    assert (done.rows, done.skipped) == (2, {exporting.NO_TEXT: 1})
    assert [row["completion"] for row in made_rows(home, actor, "sft@1")] == ["better", seen[1]]
    done = service.export(home, actor, name="review", dataset="pairs", kind="preference")
    (pair,) = made_rows(home, actor, "pairs@1")
    assert (pair["chosen"], pair["rejected"], done.rows) == ("better", seen[0], 1)
    assert pair["prompt"][0]["role"] == "user"


def test_preferred_answers_become_pairs(home: Home, actor: Actor) -> None:
    given = [{"prompt": f"p{n}", "answer_a": f"long {n}", "answer_b": f"short {n}"} for n in range(3)]
    version = datasets.ingest(home, actor, name="pairs", source=given)
    queue(home, actor, kind="pair", labels=[SIDE], overlap=3, source={"dataset": "pairs"})
    votes = {"p0": ("long", "long", "short"), "p1": ("short",) * 3, "p2": ("tie",) * 3}
    for place, who in enumerate((ANN, BOB, CY)):
        while (taken := take(home, who)) is not None:
            vote = votes[taken.content["messages"][0]["content"]][place]
            side = "a" if taken.content["a"].startswith(vote) else "b"
            answer(home, who, taken.item.id, better="tie" if vote == "tie" else side)
    done = service.export(home, actor, name="review", dataset="preferred", kind="preference")
    assert done.skipped == {exporting.TIE: 1}
    found = {row["chosen"]: row["rejected"] for row in made_rows(home, actor, "preferred@1")}
    assert found == {"long 0": "short 0", "short 1": "long 1"}
    with home.read() as uow:
        edges = lineage.neighbours(uow.conn, actor.scope, "dataset_version", "preferred@1")
    assert ("dataset_version", version.ref) in {(edge.parent_kind, edge.parent_ref) for edge in edges}


def test_labelled_rows_keep_their_columns(home: Home, actor: Actor) -> None:
    datasets.ingest(home, actor, name="sums", source=rows(2), key="id")
    queue(home, actor, kind="row", source={"dataset": "sums"})
    answer_all(home, ANN, {"quality": "good"}, {"quality": "bad"})
    service.export(home, actor, name="review", dataset="judged", splits={"train": 0.5, "test": 0.5})
    found = made_rows(home, actor, "judged@1")
    assert [(row["row_id"], row["target"], row["label_quality"]) for row in found] == [
        ("r0", "1", "good"),
        ("r1", "2", "bad"),
    ]


def test_nothing_to_export_says_why(home: Home, actor: Actor) -> None:
    calls(home, actor, 1)
    queue(home, actor, source={"query": ""})
    with pytest.raises(Invalid, match="gives no labels rows"):
        service.export(home, actor, name="review", dataset="none")
    answer_all(home, ANN, {"quality": "good"})
    with pytest.raises(Invalid, match=f"1 left out: {exporting.NO_TEXT}"):
        service.export(home, actor, name="review", dataset="none", kind="preference")
    with pytest.raises(Invalid, match="cannot be exported"):
        service.export(home, actor, name="review", dataset="none", kind="poems")
