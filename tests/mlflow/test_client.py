"""MLflow's own client against a real server."""

from collections.abc import Callable

import pytest
from tests.mlflow.conftest import Running

from penstock.core.auth import service as auth
from penstock.feedback import service as feedback
from penstock.traces import service as traces
from penstock.traces.model import TraceFilters
from penstock.tracking import service as tracking

Client = Callable[..., str]


def test_runs_metrics_tags_and_search(client: Client) -> None:
    assert "runs ok" in client("runs")


def test_artifacts(client: Client) -> None:
    assert "artifacts ok" in client("artifacts")


@pytest.mark.parametrize("way", ["workspace", "address"])
def test_another_project(client: Client, running: Running, way: str) -> None:
    with running.home.begin() as uow:
        auth.create_project(uow, running.actor, name="other")
    chosen = (
        {"MLFLOW_WORKSPACE": "other"}
        if way == "workspace"
        else {"MLFLOW_TRACKING_URI": running.url + "/projects/other"}
    )
    password = {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": running.key}
    said = client("project", "other", **chosen, **(password if way == "address" else {}))
    with running.home.read() as uow:
        found = tracking.search_runs(uow, running.actor.within("other"))
        assert [run.id for run in found.items] == [said.split()[-1]]
        assert tracking.search_runs(uow, running.actor).items == ()


def test_traces_search_and_assessments(client: Client, running: Running) -> None:
    first = client("tracing").split("traces ")[-1].split()[0].removeprefix("tr-")
    home, actor = running.home, running.actor
    with home.read() as uow:
        trace = traces.get_trace(uow, actor, trace_id=first).summary
        assert (trace.user, trace.session) == ("ann", "s-1")
        assert (trace.calls, trace.input_tokens, trace.output_tokens) == (1, 5, 2)
        wanted = TraceFilters(tags=("team=Mail",), metadata={"customer": "acme"}, user="ann")
        found = traces.list_traces(uow, actor, filters=wanted)
        assert [one.trace_id for one in found.items] == [first]
        given = feedback.list_feedback(uow, actor, trace_id=first)
        assert [(one.name, one.text) for one in given] == [("correction", "42")]
