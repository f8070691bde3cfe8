from starlette.testclient import TestClient


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


def test_a_long_history_is_drawn_to_its_end(client: TestClient) -> None:
    experiment = client.post("/api/v1/experiments", json={"name": "speed"}).json()
    run = client.post("/api/v1/runs", json={"experiment_id": experiment["id"], "name": "r"}).json()
    metrics = [{"key": "loss", "value": step, "step": step} for step in range(1, 101)]
    client.patch(f"/api/v1/runs/{run['id']}", json={"metrics": metrics})
    few = client.get("/api/v1/runs/compare", params={"run": [run["id"]], "points": 4}).json()
    assert [point["step"] for point in few[0]["points"]] == [25, 50, 75, 100]
    whole = client.get("/api/v1/runs/compare", params={"run": [run["id"]]}).json()
    assert [point["step"] for point in whole[0]["points"]] == list(range(1, 101))


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
