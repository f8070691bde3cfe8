from pathlib import Path

import pytest
from starlette.testclient import TestClient

from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.tracking import service
from penstock.tracking.model import ModelUse


def _started(client: TestClient, name: str = "speed") -> tuple[str, str]:
    """Return the paths of a new experiment and a new run of it."""
    experiment = client.post("/api/v1/experiments", json={"name": name}).json()["id"]
    run = client.post("/api/v1/runs", json={"experiment_id": experiment, "name": "r"}).json()["id"]
    return f"/api/v1/experiments/{experiment}", f"/api/v1/runs/{run}"


def test_experiments_and_runs_over_http(client: TestClient) -> None:
    experiment = client.post("/api/v1/experiments", json={"name": "speed", "tags": {"a": "b"}}).json()
    run = client.post("/api/v1/runs", json={"experiment_id": experiment["id"], "name": "r"}).json()
    change = {
        "params": {"lr": "0.1"},
        "metrics": [{"key": "val/loss", "value": 2 - step, "step": step} for step in range(3)],
        "status": "finished",
    }
    changed = client.patch(f"/api/v1/runs/{run['id']}", json=change).json()
    assert changed["status"] == "finished"
    assert changed["metrics"]["val/loss"]["value"] == 0
    found = client.get("/api/v1/runs", params={"filter": "metrics.`val/loss` < 1", "order_by": "start_time"})
    assert [one["id"] for one in found.json()["items"]] == [run["id"]]
    first = client.get(f"/api/v1/runs/{run['id']}/metrics/val/loss", params={"limit": 2}).json()
    rest = client.get(
        f"/api/v1/runs/{run['id']}/metrics/val/loss", params={"limit": 2, "cursor": first["next"]}
    ).json()
    assert [point["value"] for point in first["items"] + rest["items"]] == [2, 1, 0]
    assert rest["next"] is None
    compared = client.get("/api/v1/runs/compare", params={"run": [run["id"]]}).json()
    assert [len(series["points"]) for series in compared] == [3]
    assert client.get(f"/api/v1/runs/{run['id']}/artifacts").json() == []


def test_a_heartbeat_over_http(client: TestClient) -> None:
    _, run = _started(client)
    assert "penstock.heartbeat" not in client.get(run).json()["tags"]
    assert client.post(f"{run}/heartbeat").status_code == 204
    assert "penstock.heartbeat" in client.get(run).json()["tags"]
    assert client.post("/api/v1/runs/xrn_none/heartbeat").status_code == 404
    client.delete(run)
    assert client.post(f"{run}/heartbeat").status_code == 400


def test_a_long_history_is_drawn_to_its_end(client: TestClient) -> None:
    experiment = client.post("/api/v1/experiments", json={"name": "speed"}).json()
    run = client.post("/api/v1/runs", json={"experiment_id": experiment["id"], "name": "r"}).json()
    metrics = [{"key": "loss", "value": step, "step": step} for step in range(1, 101)]
    client.patch(f"/api/v1/runs/{run['id']}", json={"metrics": metrics})
    few = client.get("/api/v1/runs/compare", params={"run": [run["id"]], "points": 4}).json()
    assert [point["step"] for point in few[0]["points"]] == [25, 50, 75, 100]
    whole = client.get("/api/v1/runs/compare", params={"run": [run["id"]]}).json()
    assert [point["step"] for point in whole[0]["points"]] == list(range(1, 101))


def test_histories_of_very_many_metrics_are_thinned_together(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.tracking.api.MOST_DRAWN", 40)
    experiment = client.post("/api/v1/experiments", json={"name": "layers"}).json()
    run = client.post("/api/v1/runs", json={"experiment_id": experiment["id"], "name": "r"}).json()
    metrics = [
        {"key": f"layer/{layer}", "value": step, "step": step} for layer in range(10) for step in range(1, 51)
    ]
    client.patch(f"/api/v1/runs/{run['id']}", json={"metrics": metrics})
    drawn = client.get("/api/v1/runs/compare", params={"run": [run["id"]]}).json()
    assert len(drawn) == 10
    assert sum(len(series["points"]) for series in drawn) <= 50
    assert {series["points"][-1]["step"] for series in drawn} == {50}
    one = client.get("/api/v1/runs/compare", params={"run": [run["id"]], "key": "layer/3"}).json()
    assert len(one[0]["points"]) > 20


def test_delete_restore_and_pages_over_http(client: TestClient) -> None:
    for name in ("a", "b", "c"):
        client.post("/api/v1/experiments", json={"name": name})
    page = client.get("/api/v1/experiments", params={"limit": 2, "order_by": "name ASC"}).json()
    assert [one["name"] for one in page["items"]] == ["a", "b"]
    rest = client.get("/api/v1/experiments", params={"cursor": page["next"], "order_by": "name ASC"}).json()
    assert [one["name"] for one in rest["items"]] == ["c"]
    path = f"/api/v1/experiments/{page['items'][0]['id']}"
    assert client.delete(path).json()["state"] == "deleted"
    assert len(client.get("/api/v1/experiments").json()["items"]) == 2
    assert client.post(path + "/restore").json()["state"] == "active"
    assert client.get("/api/v1/runs", params={"filter": "nonsense"}).status_code == 400
    assert client.get("/api/v1/runs", params={"cursor": "nonsense"}).status_code == 400
    assert client.get("/api/v1/runs/none").status_code == 404


def test_an_experiment_tells_how_much_goes_on_in_it(client: TestClient) -> None:
    path, run = _started(client)
    client.post("/api/v1/experiments", json={"name": "still empty"})
    second = client.post("/api/v1/runs", json={"experiment_id": path.rpartition("/")[2]}).json()
    client.patch(run, json={"status": "finished"})
    listed = client.get("/api/v1/experiments", params={"order_by": "name ASC"}).json()["items"]
    assert [(one["name"], one["runs"], one["running"]) for one in listed] == [
        ("speed", 2, 1),
        ("still empty", 0, 0),
    ]
    assert listed[0]["last_run_at"] == second["started_at"]
    assert listed[1]["last_run_at"] is None
    client.delete(run)
    assert client.get(path).json()["runs"] == 1
    assert client.delete(path).json()["runs"] == 2, "what was deleted with its runs tells of them"


def test_an_experiment_is_renamed_and_noted(client: TestClient) -> None:
    path, _ = _started(client)
    client.post("/api/v1/experiments", json={"name": "taken"})
    changed = client.patch(path, json={"name": "faster", "note": "*Why*", "tags": {"team": "mail"}}).json()
    assert (changed["name"], changed["note"]) == ("faster", "*Why*")
    assert changed["tags"] == {"team": "mail", "mlflow.note.content": "*Why*"}
    assert client.patch(path, json={"note": " "}).json()["tags"] == {"team": "mail"}
    assert client.patch(path, json={"note": ""}).json()["note"] == ""
    assert client.patch(path, json={"name": "taken"}).status_code == 409
    assert client.get(path).json()["name"] == "faster"


def test_the_keys_of_an_experiment_say_what_differs(client: TestClient) -> None:
    path, run = _started(client)
    other = client.post("/api/v1/runs", json={"experiment_id": path.rpartition("/")[2]}).json()["id"]
    client.patch(run, json={"params": {"lr": "0.1", "seed": "1"}, "metrics": [{"key": "loss", "value": 1}]})
    client.patch(f"/api/v1/runs/{other}", json={"params": {"lr": "0.2", "seed": "1"}, "tags": {"a": "b"}})
    _, elsewhere = _started(client, "elsewhere")
    client.patch(elsewhere, json={"params": {"depth": "3"}})
    assert client.get(path + "/keys").json() == {
        "params": [{"key": "lr", "runs": 2, "values": 2}, {"key": "seed", "runs": 2, "values": 1}],
        "metrics": [{"key": "loss", "runs": 1, "values": 1}],
        "tags": [{"key": "a", "runs": 1, "values": 1}],
    }
    client.delete(f"/api/v1/runs/{other}")
    assert client.get(path + "/keys").json()["params"][0] == {"key": "lr", "runs": 1, "values": 1}


def test_the_note_of_a_run_is_the_tag_that_mlflow_writes(client: TestClient) -> None:
    _, run = _started(client)
    client.patch(run, json={"tags": {"mlflow.note.content": "from MLflow"}})
    assert client.get(run).json()["note"] == "from MLflow"
    changed = client.patch(run, json={"note": "from the page"}).json()
    assert changed["tags"]["mlflow.note.content"] == "from the page"
    assert client.patch(run, json={"note": ""}).json()["tags"] == {}
    client.patch(run, json={"tags": {"a": "1", "b": "2"}})
    assert client.patch(run, json={"untag": ["a"]}).json()["tags"] == {"b": "2"}
    assert client.patch(run, json={"untag": ["a"]}).status_code == 404


def test_a_dataset_version_is_an_input_with_lineage_both_ways(client: TestClient) -> None:
    _, run = _started(client)
    given = [{"version": "tickets@2", "context": "training"}, {"name": "held out", "digest": "ab12"}]
    read = client.patch(run, json={"datasets": given}).json()["datasets"]
    assert [(one["name"], one["digest"], one["version"]) for one in read] == [
        ("held out", "ab12", ""),
        ("tickets", "2", "tickets@2"),
    ]
    run_id = run.rpartition("/")[2]
    above = client.get(f"/api/v1/lineage/run/{run_id}").json()["items"]
    assert [(one["parent_kind"], one["parent_ref"], one["role"]) for one in above] == [
        ("dataset_version", "tickets@2", "training")
    ]
    below = client.get("/api/v1/lineage/dataset_version/tickets@2", params={"direction": "down"}).json()
    assert [(one["child_kind"], one["child_name"]) for one in below["items"]] == [("run", "r")]
    assert client.patch(run, json={"datasets": [{"version": "tickets"}]}).status_code == 400


def test_a_file_is_listed_read_in_part_and_never_shown_by_a_browser(
    client: TestClient, home: Home, actor: Actor, tmp_path: Path
) -> None:
    _, run = _started(client)
    page = tmp_path / "page.html"
    page.write_text("<script>alert(1)</script>")
    root = run.rpartition("/")[2]
    service.put_artifact(home, actor, root=root, path="plots/page.html", source=page)
    assert [one["path"] for one in client.get(run + "/artifacts").json()] == ["plots"]
    (file,) = client.get(run + "/artifacts", params={"path": "plots"}).json()
    assert (file["path"], file["is_dir"], file["size"]) == ("plots/page.html", False, 25)
    whole = client.get(run + "/artifacts/content", params={"path": file["path"]})
    assert whole.text == page.read_text()
    assert whole.headers["content-type"] == "application/octet-stream"
    assert whole.headers["content-disposition"] == "attachment"
    assert whole.headers["x-content-type-options"] == "nosniff"
    few = client.get(run + "/artifacts/content", params={"path": file["path"], "first": 8})
    assert (few.text, few.headers["content-length"]) == ("<script>", "8")
    more = client.get(run + "/artifacts/content", params={"path": file["path"], "first": 99})
    assert more.text == page.read_text()
    assert client.get(run + "/artifacts/content", params={"path": "plots"}).status_code == 404
    assert client.get("/api/v1/runs/none/artifacts/content", params={"path": "a"}).status_code == 404


def test_the_models_of_a_run(client: TestClient, home: Home, actor: Actor, tmp_path: Path) -> None:
    path, run = _started(client)
    run_id, experiment = run.rpartition("/")[2], path.rpartition("/")[2]
    with home.begin() as uow:
        made = service.create_model(uow, actor, experiment_id=experiment, name="net", run_id=run_id)
        used = service.create_model(uow, actor, experiment_id=experiment, name="base")
        service.log_inputs(uow, actor, run_id=run_id, models=[ModelUse(model_id=used.id, role="input")])
    (tmp_path / "MLmodel").write_text("flavors: {}")
    service.put_artifact(home, actor, root=made.id, path="MLmodel", source=tmp_path / "MLmodel")
    found = client.get(run + "/models").json()
    assert {(one["name"], one["role"]) for one in found} == {("net", "output"), ("base", "input")}
    below = client.get(f"/api/v1/lineage/run/{run_id}", params={"direction": "down"}).json()["items"]
    assert [(one["child_kind"], one["child_name"]) for one in below] == [("logged_model", "net")]
    above = client.get(f"/api/v1/lineage/run/{run_id}").json()["items"]
    assert [(one["parent_kind"], one["parent_name"]) for one in above] == [("logged_model", "base")]
    assert client.get(run).json()["models"] == [{"model_id": used.id, "role": "input", "step": 0}]
    files = f"/api/v1/logged-models/{made.id}/artifacts"
    assert [one["path"] for one in client.get(files).json()] == ["MLmodel"]
    assert client.get(files + "/content", params={"path": "MLmodel"}).text == "flavors: {}"
    assert client.get("/api/v1/logged-models/m-none/artifacts").status_code == 404
