"""What users of MLflow write, part by part, run with MLflow's own client by `test_client.py`."""

import contextlib
import json
import math
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from mlflow.entities import Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException

import mlflow
from mlflow import MlflowClient


def refused(code, verb, *args, **kwargs):
    """Check that the server refuses with MLflow's code."""
    try:
        verb(*args, **kwargs)
    except MlflowException as error:
        assert error.error_code == code, (error.error_code, str(error))
        return
    raise AssertionError(f"{verb} was not refused")


def runs():
    client = MlflowClient()
    experiment = mlflow.set_experiment("speed")
    assert mlflow.set_experiment("speed").experiment_id == experiment.experiment_id
    with mlflow.start_run(run_name="first", description="a run") as run:
        mlflow.log_param("lr", 0.1)
        mlflow.log_params({"depth": 3, "opt": "adam"})
        for step in range(5):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        mlflow.log_metrics({"acc": 0.9, "odd/name": 1.0, "bad": math.nan}, step=1)
        mlflow.set_tag("team", "Mail")
        mlflow.set_tags({"a": "1", "b": "2"})
    found = client.get_run(run.info.run_id)
    assert found.info.status == "FINISHED"
    assert found.info.run_name == "first"
    assert found.info.end_time >= found.info.start_time > 1_600_000_000_000
    assert found.data.params == {"lr": "0.1", "depth": "3", "opt": "adam"}
    assert found.data.metrics["loss"] == 0.2
    assert math.isnan(found.data.metrics["bad"])
    assert found.data.tags["team"] == "Mail"
    assert [m.step for m in client.get_metric_history(run.info.run_id, "loss")] == [0, 1, 2, 3, 4]
    refused("INVALID_PARAMETER_VALUE", client.log_param, run.info.run_id, "lr", "0.2")
    client.log_batch(
        run.info.run_id,
        metrics=[Metric("many", i / 10, 1000 + i, i) for i in range(900)],
        params=[Param("p", "q")],
        tags=[RunTag("t", "u")],
    )
    assert len(client.get_metric_history(run.info.run_id, "many")) == 900
    client.delete_tag(run.info.run_id, "t")
    assert "t" not in client.get_run(run.info.run_id).data.tags
    client.update_run(run.info.run_id, name="renamed")
    assert client.get_run(run.info.run_id).info.run_name == "renamed"
    with mlflow.start_run(run_name="parent"), mlflow.start_run(nested=True, run_name="child"):
        mlflow.log_metric("loss", 0.5)
    try:
        with mlflow.start_run(run_name="broken"):
            raise ValueError
    except ValueError:
        pass
    search(client, experiment.experiment_id, run.info.run_id)
    default(client)
    print("runs ok")


def search(client, experiment_id, run_id):
    def names(text="", order=None, view=ViewType.ACTIVE_ONLY):
        return [r.info.run_name for r in client.search_runs([experiment_id], text, view, order_by=order)]

    assert names() == ["broken", "child", "parent", "renamed"]
    assert names("metrics.loss < 0.3") == ["renamed"]
    assert names("metrics.loss <= 0.5", ["metrics.loss DESC"]) == ["child", "renamed"]
    assert names("params.lr = '0.1' and tags.team LIKE 'M%'") == ["renamed"]
    assert names("attributes.status = 'FAILED'") == ["broken"]
    assert names("tags.`mlflow.parentRunId` != ''") == ["child"]
    assert names("run_name IN ('child', 'parent')", ["run_name ASC"]) == ["child", "parent"]
    assert names("metrics.`odd/name` = 1") == ["renamed"]
    refused("INVALID_PARAMETER_VALUE", names, "nonsense ==")
    page = client.search_runs([experiment_id], max_results=3)
    rest = client.search_runs([experiment_id], max_results=3, page_token=page.token)
    assert len(page) == 3
    assert len(rest) == 1
    assert not rest.token
    client.delete_run(run_id)
    assert "renamed" not in names()
    assert names(view=ViewType.DELETED_ONLY) == ["renamed"]
    client.restore_run(run_id)
    assert "renamed" in names()


def default(client):
    assert client.get_experiment("0").name == "Default"
    made = client.create_run("0")
    assert made.info.experiment_id == "0"
    assert client.get_experiment_by_name("absent") is None
    other = client.create_experiment("other", tags={"k": "v"})
    refused("RESOURCE_ALREADY_EXISTS", client.create_experiment, "other")
    client.set_experiment_tag(other, "x", "y")
    client.rename_experiment(other, "another")
    found = client.get_experiment(other)
    assert (found.name, found.tags) == ("another", {"k": "v", "x": "y"})
    named = [e.name for e in client.search_experiments(filter_string="tags.x = 'y'")]
    assert named == ["another"]
    client.delete_experiment(other)
    assert client.get_experiment(other).lifecycle_stage == "deleted"
    client.restore_experiment(other)
    refused("RESOURCE_DOES_NOT_EXIST", client.get_run, "0" * 32)


def artifacts():
    mlflow.set_experiment("files")
    with tempfile.TemporaryDirectory() as folder, mlflow.start_run() as run:
        (Path(folder) / "a.txt").write_text("alpha")
        (Path(folder) / "big.bin").write_bytes(bytes(range(256)) * 40_000)
        (Path(folder) / "sub dir").mkdir()
        (Path(folder) / "sub dir" / "ü.txt").write_text("umlaut")
        mlflow.log_artifact(str(Path(folder) / "a.txt"))
        mlflow.log_artifacts(folder, "all")
        mlflow.log_text("hello", "notes/hello.txt")
        mlflow.log_dict({"x": [1, 2]}, "data.json")
    client = MlflowClient()
    listed = {f.path: (f.is_dir, f.file_size) for f in client.list_artifacts(run.info.run_id)}
    assert listed == {
        "a.txt": (False, 5), "all": (True, None), "data.json": (False, listed["data.json"][1]), "notes": (True, None),
    }  # fmt: skip
    assert [f.path for f in client.list_artifacts(run.info.run_id, "all")] == [
        "all/a.txt", "all/big.bin", "all/sub dir",
    ]  # fmt: skip
    local = client.download_artifacts(run.info.run_id, "all")
    assert (Path(local) / "sub dir" / "ü.txt").read_text() == "umlaut"
    assert (Path(local) / "big.bin").stat().st_size == 256 * 40_000
    assert mlflow.artifacts.load_dict(f"runs:/{run.info.run_id}/data.json") == {"x": [1, 2]}
    refused("RESOURCE_DOES_NOT_EXIST", client.get_run, "none")
    print("artifacts ok")


def project(name):
    with mlflow.start_run() as run:
        mlflow.log_metric("m", 1)
    print("run", run.info.run_id)


def tracing():
    experiment = mlflow.set_experiment("calls").experiment_id
    client = MlflowClient()

    @mlflow.trace(span_type="RETRIEVER", attributes={"index": "faq"})
    def find(query):
        return [{"page_content": f"About {query}", "metadata": {"n": 1}}]

    @mlflow.trace(name="answer question", span_type="AGENT")
    def answer(question, user):
        mlflow.update_current_trace(
            tags={"team": "Mail"},
            metadata={"mlflow.trace.user": user, "mlflow.trace.session": "s-1", "customer": "acme"},
        )
        if user == "mallory":
            raise ValueError("no answer")
        with mlflow.start_span("llm", span_type="LLM") as span:
            span.set_inputs({"messages": [{"role": "user", "content": question}]})
            span.set_outputs("42")
            span.set_attribute(
                "mlflow.chat.tokenUsage", {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
            )
        return {"found": find(question), "text": "forty-two"}

    ids = []
    for question, user in (("refund order", "ann"), ("late parcel", "bob"), ("evil", "mallory")):
        with contextlib.suppress(ValueError):
            answer(question, user)
        ids.append(mlflow.get_last_active_trace_id())
    mlflow.flush_trace_async_logging()
    trace = mlflow.get_trace(ids[0])
    assert trace.info.state == "OK", trace.info
    assert trace.info.experiment_id == experiment
    assert trace.info.trace_metadata["mlflow.trace.user"] == "ann"
    assert trace.info.tags["team"] == "Mail"
    assert trace.info.execution_duration is not None
    spans = {span.name: span for span in trace.data.spans}
    assert set(spans) == {"answer question", "llm", "find"}
    assert spans["answer question"].inputs == {"question": "refund order", "user": "ann"}
    assert spans["answer question"].outputs["text"] == "forty-two"
    assert spans["answer question"].parent_id is None
    assert spans["find"].parent_id == spans["answer question"].span_id
    assert spans["find"].span_type == "RETRIEVER"
    assert spans["find"].outputs == [{"page_content": "About refund order", "metadata": {"n": 1}}]
    assert spans["find"].attributes["index"] == "faq"
    assert spans["llm"].outputs == "42"
    assert spans["llm"].inputs == {"messages": [{"role": "user", "content": "refund order"}]}
    assert trace.data.request == '{"question": "refund order", "user": "ann"}', trace.data.request
    failed = mlflow.get_trace(ids[2])
    assert failed.info.state == "ERROR"
    assert [event.name for event in failed.data.spans[0].events] == ["exception"]

    def search(text=None, **more):
        found = client.search_traces(locations=[experiment], filter_string=text, **more)
        return [ids.index(one.info.trace_id) for one in found]

    assert search() == [2, 1, 0]
    assert search("trace.status = 'ERROR'") == [2]
    assert search("metadata.`mlflow.trace.user` = 'bob'") == [1]
    assert search("request_metadata.customer = 'acme' AND tags.team = 'Mail'") == [2, 1, 0]
    assert search("tags.team = 'mail'") == []
    assert search("tags.team ILIKE 'm%' AND status != 'ERROR'") == [1, 0]
    assert search("name = 'answer question'") == [2, 1, 0]
    assert search("span.type = 'LLM'") == [1, 0]
    assert search("span.attributes.index = 'faq' AND span.name LIKE 'fi%'") == [1, 0]
    assert search(f"timestamp_ms > {mlflow.get_trace(ids[1]).info.request_time}") == [2]
    assert search("execution_time_ms >= 0", order_by=["timestamp_ms ASC"]) == [0, 1, 2]
    assert search("metadata.absent = 'x'") == []
    assert client.search_traces(locations=["0"]) == []
    page = client.search_traces(locations=[experiment], max_results=2)
    rest = client.search_traces(locations=[experiment], max_results=2, page_token=page.token)
    assert [ids.index(one.info.trace_id) for one in [*page, *rest]] == [2, 1, 0]
    refused("INVALID_PARAMETER_VALUE", search, "trace.colour = 'red'")
    mlflow.set_trace_tag(ids[0], "reviewed", "yes")
    assert search("tags.reviewed = 'yes'") == [0]
    mlflow.delete_trace_tag(ids[0], "reviewed")
    assert search("tags.reviewed = 'yes'") == []
    in_runs(client, experiment, search)
    judge(client, ids, search)
    refused("RESOURCE_DOES_NOT_EXIST", client.get_trace, "tr-" + "0" * 31 + "1")
    print("traces", *ids)


def in_runs(client, experiment, search):
    @mlflow.trace
    def step():
        return 1

    with mlflow.start_run(experiment_id=experiment) as run:
        step()
    mlflow.flush_trace_async_logging()
    found = client.search_traces(locations=[experiment], filter_string=f"run_id = '{run.info.run_id}'")
    assert [one.info.trace_id for one in found] == [mlflow.get_last_active_trace_id()]
    assert found[0].data.spans[0].outputs == 1
    assert [
        one.info.trace_id for one in client.search_traces(locations=[experiment], run_id=run.info.run_id)
    ] == [found[0].info.trace_id]


def judge(client, ids, search):
    human = mlflow.entities.AssessmentSource(source_type="HUMAN", source_id="eve")
    given = mlflow.log_feedback(
        trace_id=ids[0], name="correct", value=True, rationale="it is", source=human, metadata={"m": "1"}
    )
    mlflow.log_feedback(trace_id=ids[1], name="correct", value=False)
    mlflow.log_feedback(trace_id=ids[1], name="score", value=0.5)
    mlflow.log_feedback(trace_id=ids[1], name="labels", value=["a", "b"])
    mlflow.log_expectation(trace_id=ids[0], name="expected_response", value="42")
    mlflow.log_expectation(trace_id=ids[0], name="facts", value=["a", {"b": 1}])
    found = {one.name: one for one in mlflow.get_trace(ids[0]).info.assessments}
    assert found["correct"].value is True
    assert found["correct"].rationale == "it is"
    assert found["correct"].source.source_id == "eve"
    assert found["correct"].metadata == {"m": "1"}
    assert found["expected_response"].value == "42"
    assert found["facts"].value == ["a", {"b": 1}]
    assert search("feedback.correct = 'true'") == [0]
    assert search("feedback.correct = 'false' AND feedback.score > 0.4") == [1]
    assert search("expectation.expected_response = '42'") == [0]
    assert mlflow.get_assessment(ids[0], given.assessment_id).value is True
    mlflow.update_assessment(
        ids[0],
        given.assessment_id,
        mlflow.entities.Feedback(name="correct", value=False, rationale="it is not"),
    )
    changed = mlflow.get_assessment(ids[0], given.assessment_id)
    assert (changed.value, changed.rationale) == (False, "it is not")
    over = mlflow.override_feedback(trace_id=ids[0], assessment_id=given.assessment_id, value=True)
    assert mlflow.get_assessment(ids[0], given.assessment_id).valid is False
    mlflow.delete_assessment(ids[0], over.assessment_id)
    refused("RESOURCE_DOES_NOT_EXIST", mlflow.get_assessment, ids[0], over.assessment_id)


def prompts():
    first = mlflow.genai.register_prompt(
        "Greeting.v1", "Hello {{name}}, you are {{age}}.", commit_message="first", tags={"lang": "en"}
    )
    assert first.version == 1
    second = mlflow.genai.register_prompt(
        name="Greeting.v1",
        template=[{"role": "system", "content": "Be {{style}}."}, {"role": "user", "content": "Hi {{name}}"}],
        response_format={"type": "object", "properties": {"text": {"type": "string"}}},
        model_config={"temperature": 0.5, "model_name": "gpt-x"},
    )
    assert second.version == 2
    loaded = mlflow.genai.load_prompt("prompts:/Greeting.v1/1")
    assert loaded.template == "Hello {{name}}, you are {{age}}."
    assert loaded.format(name="Ann", age=3) == "Hello Ann, you are 3."
    assert (loaded.commit_message, loaded.tags["lang"]) == ("first", "en")
    mlflow.genai.set_prompt_alias("Greeting.v1", "live", 2)
    live = mlflow.genai.load_prompt("prompts:/Greeting.v1@live")
    assert live.version == 2
    assert live.template[0] == {"role": "system", "content": "Be {{style}}."}
    assert live.response_format["type"] == "object"
    assert live.model_config["temperature"] == 0.5
    assert mlflow.genai.load_prompt("Greeting.v1", version=1).version == 1
    assert mlflow.genai.load_prompt("absent", allow_missing=True) is None
    assert [p.name for p in mlflow.genai.search_prompts()] == ["Greeting.v1", "native"]
    assert [p.name for p in mlflow.genai.search_prompts(filter_string="name LIKE 'Gr%'")] == ["Greeting.v1"]
    native = mlflow.genai.load_prompt("prompts:/native@production")
    assert native.format(text="x") == "Classify x"
    client = MlflowClient()
    client.set_prompt_version_tag("Greeting.v1", 1, "reviewed", "yes")
    assert mlflow.genai.load_prompt("prompts:/Greeting.v1/1", cache_ttl_seconds=0).tags["reviewed"] == "yes"
    client.set_prompt_tag("Greeting.v1", "team", "mail")
    assert client.get_prompt("Greeting.v1").tags["team"] == "mail"
    mlflow.genai.delete_prompt_alias("Greeting.v1", "live")
    refused(
        "INVALID_PARAMETER_VALUE", mlflow.genai.load_prompt, "prompts:/Greeting.v1@live", cache_ttl_seconds=0
    )
    client.delete_prompt_version("Greeting.v1", "1")
    refused(
        "RESOURCE_DOES_NOT_EXIST", mlflow.genai.load_prompt, "prompts:/Greeting.v1/1", cache_ttl_seconds=0
    )
    print("prompts ok")


def models():
    client = MlflowClient()
    mlflow.set_experiment("models")
    with mlflow.start_run() as run:
        mlflow.log_text("weights", "net/weights.bin")
        mlflow.log_text("flavors: {}", "net/MLmodel")
    client.create_registered_model("My Net", tags={"team": "mail"}, description="a net")
    refused("RESOURCE_ALREADY_EXISTS", client.create_registered_model, "My Net")
    version = client.create_model_version(
        "My Net", f"{run.info.artifact_uri}/net", run.info.run_id, {"k": "v"}
    )
    assert (version.version, version.status, version.tags) in (
        ("1", "READY", {"k": "v"}),
        (1, "READY", {"k": "v"}),
    )
    refused(
        "RESOURCE_DOES_NOT_EXIST", client.create_model_version, "My Net", f"runs:/{run.info.run_id}/absent"
    )
    other = client.create_model_version("My Net", "s3://bucket/model")
    assert client.get_model_version_download_uri("My Net", other.version) == "s3://bucket/model"
    client.set_registered_model_alias("My Net", "champion", "1")
    found = client.get_model_version_by_alias("My Net", "champion")
    assert (int(found.version), found.run_id, found.aliases) == (1, run.info.run_id, ["champion"])
    local = mlflow.artifacts.download_artifacts("models:/My Net@champion")
    assert (Path(local) / "weights.bin").read_text() == "weights"
    client.update_model_version("My Net", "1", "the first")
    client.set_model_version_tag("My Net", "1", "a", "b")
    found = client.get_model_version("My Net", "1")
    assert (found.description, found.tags) == ("the first", {"k": "v", "a": "b"})
    client.transition_model_version_stage("My Net", "1", "Production")
    assert client.get_latest_versions("My Net", ["Production"])[0].version in ("1", 1)
    assert [m.name for m in client.search_registered_models()] == ["My Net", "native"]
    assert [m.name for m in client.search_registered_models("name ILIKE 'my%' AND tags.team = 'mail'")] == [
        "My Net"
    ]
    assert [int(v.version) for v in client.search_model_versions("name = 'My Net'")] == [2, 1]
    assert [v.name for v in client.search_model_versions(f"run_id = '{run.info.run_id}'")] == ["My Net"]
    mine = mlflow.artifacts.download_artifacts("models:/native/1")
    assert (Path(mine) / "config.json").exists()
    client.delete_model_version("My Net", "2")
    refused("RESOURCE_DOES_NOT_EXIST", client.get_model_version, "My Net", "2")
    client.rename_registered_model("My Net", "Renamed")
    assert client.get_registered_model("Renamed").aliases == {"champion": "1"}
    client.delete_registered_model("Renamed")
    refused("RESOURCE_DOES_NOT_EXIST", client.get_registered_model, "Renamed")
    refused("RESOURCE_DOES_NOT_EXIST", client.get_registered_model, "My Net")
    print("models ok")


def pyfunc():
    mlflow.set_experiment("pyfunc")

    class Doubling(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input: list[float], params=None):
            return [2 * number for number in model_input]

    with mlflow.start_run() as run:
        info = mlflow.pyfunc.log_model(
            name="double", python_model=Doubling(), registered_model_name="double", pip_requirements=[]
        )
        mlflow.log_metric("acc", 0.75, model_id=info.model_id)
    client = MlflowClient()
    client.set_registered_model_alias("double", "live", 1)
    for uri in ("models:/double/1", "models:/double@live", info.model_uri, f"models:/{info.model_id}"):
        assert mlflow.pyfunc.load_model(uri).predict([1.0, 2.0]) == [2.0, 4.0]
    model = mlflow.get_logged_model(info.model_id)
    assert (str(model.status), model.source_run_id) == ("READY", run.info.run_id)
    assert [(m.key, m.value) for m in model.metrics] == [("acc", 0.75)]
    found = mlflow.search_logged_models(filter_string="metrics.acc > 0.7", output_format="list")
    assert [one.model_id for one in found] == [info.model_id]
    mlflow.set_logged_model_tags(info.model_id, {"x": "y"})
    assert mlflow.get_logged_model(info.model_id).tags["x"] == "y"
    outputs = client.get_run(run.info.run_id).outputs.model_outputs
    assert [one.model_id for one in outputs] == [info.model_id]
    print("pyfunc ok")


def evaluating():
    from mlflow.genai.scorers import scorer

    experiment = mlflow.set_experiment("evals").experiment_id

    @scorer
    def exact(outputs, expectations):
        return outputs == expectations["expected_response"]

    @scorer
    def length(outputs):
        return len(outputs)

    @mlflow.trace
    def predict(question):
        return question.upper()

    dataset = mlflow.genai.datasets.create_dataset(
        "questions", experiment_id=[experiment], tags={"team": "mail"}
    )
    rows = [
        {"inputs": {"question": "a"}, "expectations": {"expected_response": "A"}},
        {"inputs": {"question": "b"}, "expectations": {"expected_response": "x"}},
    ]
    dataset.merge_records(rows)
    dataset.merge_records([{"inputs": {"question": "b"}, "expectations": {"note": "y"}}])
    again = mlflow.genai.datasets.get_dataset(dataset_id=dataset.dataset_id)
    assert again.to_df()["expectations"].tolist() == [
        {"expected_response": "A"}, {"expected_response": "x", "note": "y"},
    ]  # fmt: skip
    assert [one.name for one in mlflow.genai.datasets.search_datasets(experiment_ids=[experiment])] == [
        "questions"
    ]
    assert mlflow.genai.datasets.search_datasets(filter_string="name = 'other'") == []
    result = mlflow.genai.evaluate(data=again, predict_fn=predict, scorers=[exact, length])
    assert result.metrics == {"exact/mean": 0.5, "length/mean": 1.0}, result.metrics
    traces = mlflow.search_traces(run_id=result.run_id, return_type="list")
    judged = sorted((one.name, str(one.value)) for trace in traces for one in trace.info.assessments)
    assert judged == [
        ("exact", "False"), ("exact", "True"), ("expected_response", "A"), ("expected_response", "x"),
        ("length", "1.0"), ("length", "1.0"), ("note", "y"),
    ], judged  # fmt: skip
    twice = mlflow.genai.evaluate(data=mlflow.search_traces(run_id=result.run_id), scorers=[length])
    assert twice.metrics == {"length/mean": 1.0}
    run = mlflow.get_run(result.run_id)
    assert run.data.metrics["exact/mean"] == 0.5
    again.delete_records([again.to_df()["dataset_record_id"][0]])
    mlflow.genai.datasets.set_dataset_tags(dataset_id=dataset.dataset_id, tags={"x": "y"})
    found = mlflow.genai.datasets.get_dataset(dataset_id=dataset.dataset_id)
    assert (len(found.to_df()), found.tags["x"], found.tags["team"]) == (1, "y", "mail")
    mlflow.genai.datasets.delete_dataset(dataset_id=dataset.dataset_id)
    refused("RESOURCE_DOES_NOT_EXIST", mlflow.genai.datasets.get_dataset, dataset_id=dataset.dataset_id)
    print("evaluated")


class Models(BaseHTTPRequestHandler):
    """A provider with one answer."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        answer = {
            "id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": asked["model"] + "-2026",
            "choices": [{
                "index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "on its way"},
            }],
            "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14},
        }  # fmt: skip
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *said):
        """Say nothing."""


def autologging():
    import mlflow.openai
    import openai

    provider = HTTPServer(("127.0.0.1", 0), Models)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    mlflow.set_experiment("watched")
    mlflow.openai.autolog()
    maker = openai.OpenAI(base_url=f"http://127.0.0.1:{provider.server_port}/v1", api_key="sk-test")
    said = maker.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "where is it"}], temperature=0.2
    )
    assert said.choices[0].message.content == "on its way"
    mlflow.flush_trace_async_logging()
    (trace,) = mlflow.search_traces(return_type="list")
    (span,) = trace.data.spans
    assert span.span_type == "CHAT_MODEL", span.span_type
    assert span.outputs["choices"][0]["message"]["content"] == "on its way"
    assert trace.info.token_usage["total_tokens"] == 14, trace.info.token_usage
    print("watched", trace.info.trace_id)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
