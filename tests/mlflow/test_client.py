"""MLflow's own client against a real server."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.mlflow.conftest import Running, interpreter
from tests.registry.folders import base_folder

from penstock.core.auth import service as auth
from penstock.core.errors import Invalid
from penstock.feedback import service as feedback
from penstock.prompts import service as prompts
from penstock.prompts.model import Body, Kind
from penstock.registry import service as registry
from penstock.traces import service as traces
from penstock.traces.model import TraceFilters
from penstock.tracking import service as tracking

Client = Callable[..., str]


def needs(*modules: str) -> None:
    """Skip unless the client's interpreter has what MLflow's whole package brings."""
    done = subprocess.run(
        [interpreter(), "-c", "import " + ", ".join(modules)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip(f"the client has no {', '.join(modules)}")


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


def test_prompts(client: Client, running: Running) -> None:
    with running.home.begin() as uow:
        body = Body(kind=Kind.TEXT, text="Classify {{ text }}")
        prompts.add_version(uow, running.actor, name="native", body=body)
        prompts.set_label(uow, running.actor, name="native", label="production", version=1)
    assert "prompts ok" in client("prompts")
    with running.home.read() as uow:
        assert [one.versions for one in prompts.search(uow, running.actor, text="greeting.v1")] == [2]


def test_registered_models(client: Client, running: Running, tmp_path: Path) -> None:
    folder = base_folder(tmp_path / "base")
    registry.register(running.home, running.actor, name="native", folder=folder, kind="base")
    assert "models ok" in client("models")
    with running.home.read() as uow:
        found = registry.list_models(uow, running.actor, text="my-net")[0]
        version = registry.get(uow, running.actor, ref=f"{found.name}@1")
    assert [one.path for one in version.files] == ["MLmodel", "weights.bin"]
    with pytest.raises(Invalid, match="does not load it"):
        registry.materialize(running.home, running.actor, ref=version.ref)


def test_pyfunc_models(client: Client) -> None:
    needs("numpy", "pandas", "cloudpickle", "sklearn")
    assert "pyfunc ok" in client("pyfunc")


def test_evaluate(client: Client) -> None:
    needs("pandas", "mlflow.genai", "mlflow.genai.datasets")
    assert "evaluated" in client("evaluating")


def test_autologging(client: Client, running: Running) -> None:
    needs("openai", "mlflow.openai")
    found = client("autologging").split("watched ")[-1].split()[0].removeprefix("tr-")
    with running.home.read() as uow:
        (span,) = traces.get_trace(uow, running.actor, trace_id=found).spans
        whole = traces.get_span_body(uow, running.actor, trace_id=found, span_id=span.span_id)
    assert (span.kind, span.model, span.input_tokens, span.output_tokens) == (
        "llm",
        "gpt-4o-mini-2026",
        11,
        3,
    )
    assert span.cost_usd is not None
    assert b"where is it" in (whole.input or b"") and b"on its way" in (whole.output or b"")
