"""What users of MLflow write, part by part, run with MLflow's own client by `test_client.py`."""

import math
import sys
import tempfile
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


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
