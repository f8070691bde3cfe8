"""MLflow's own client against a real server."""

from collections.abc import Callable

import pytest
from tests.mlflow.conftest import Running

from penstock.core.auth import service as auth
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
