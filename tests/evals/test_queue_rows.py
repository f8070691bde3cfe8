"""Samples of a run in an annotation queue, on both databases."""

from typing import Any

import pytest
from tests.evals.support import answer, ingest, make_suite
from tests.feedback.queues.support import answer as judge
from tests.feedback.queues.support import person, took

from penstock.core import lineage, plugins
from penstock.core.errors import NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.evals import service
from penstock.evals.queue_rows import RunRows
from penstock.feedback.queues import service as queues

LABEL = {"name": "quality", "type": "categorical", "options": ["good", "bad"]}


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Find the plug-in whether or not the package was installed since it was added."""
    load = plugins.load

    def loaded(group: str, name: str) -> Any:
        return RunRows if (group, name) == ("queue_sources", "run") else load(group, name)

    monkeypatch.setattr(plugins, "load", loaded)


def test_a_run_becomes_items_with_lineage(home: Home, actor: Actor) -> None:
    ref = ingest(home, actor, 12)
    run = service.run(home, actor, suite=make_suite(ref), target=answer({3}))
    spec = {"name": "look", "kind": "row", "labels": [LABEL], "source": {"run": run.id}}
    made, added = queues.create(home, actor, spec=spec)
    with home.read() as uow:
        samples = service.samples(uow, actor, run.id)
    assert added.added == len(samples) > 0
    ann = person("ann")
    taken = took(home, ann, "look")
    first = samples[0]
    assert taken.content["messages"] == [dict(message) for message in first.messages]
    assert (taken.content["output"], taken.content["reference"]) == (first.output.text, first.references[0])
    assert taken.content["row"]["scores"] == dict(first.scores)
    judge(home, ann, taken.item.id, quality="good")
    done = queues.export(home, actor, name="look", dataset="judged")
    with home.read() as uow:
        edges = lineage.neighbours(uow.conn, actor.scope, "dataset_version", done.version.ref)
    parents = {(edge.parent_kind, edge.parent_ref) for edge in edges}
    assert {("eval_run", run.id), ("queue", made.id)} < parents


def test_an_unknown_run_makes_no_queue(home: Home, actor: Actor) -> None:
    spec = {"name": "look", "kind": "row", "labels": [LABEL], "source": {"run": "evl_none"}}
    with pytest.raises(NotFound):
        queues.create(home, actor, spec=spec)
    with home.read() as uow:
        assert queues.list_queues(uow, actor) == []
