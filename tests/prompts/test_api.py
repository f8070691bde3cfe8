"""Prompts over HTTP."""

from starlette.testclient import TestClient


def test_a_prompt_from_first_version_to_rollback(client: TestClient) -> None:
    for text in ("Hello {{ name }}", "Hi {{ name }}!"):
        added = client.post("/api/v1/prompts/greet/versions", json={"kind": "text", "text": text})
        assert added.status_code == 201
    assert client.put("/api/v1/prompts/greet/labels/production", json={"version": 2}).json()["labels"] == {
        "latest": 2,
        "production": 2,
    }
    client.put("/api/v1/prompts/greet/labels/production", json={"version": 1})
    rendered = client.post("/api/v1/prompts/greet/render", json={"variables": {"name": "Ann"}}).json()
    assert (rendered["ref"], rendered["text"]) == ("greet@1", "Hello Ann")
    assert [m["version"] for m in client.get("/api/v1/prompts/greet").json()["history"]] == [1, 2]
    (change,) = client.get("/api/v1/prompts/greet/diff?from=1&to=2").json()
    assert {p["op"] for p in change["pieces"]} == {"equal", "insert", "delete"}


def test_lists_page_by_cursor(client: TestClient) -> None:
    for name in ("a", "b", "c"):
        assert client.post("/api/v1/prompts", json={"name": name}).status_code == 201
    first = client.get("/api/v1/prompts?limit=2").json()
    second = client.get(f"/api/v1/prompts?limit=2&cursor={first['next']}").json()
    assert [[p["name"] for p in page["items"]] for page in (first, second)] == [["a", "b"], ["c"]]
    assert second["next"] is None


def test_mistakes_are_problem_documents(client: TestClient) -> None:
    unknown = client.post("/api/v1/prompts", json={"name": "p", "descripton": "x"})
    assert (unknown.status_code, unknown.headers["content-type"]) == (422, "application/problem+json")
    assert "descripton" in unknown.json()["detail"]
    broken = client.post("/api/v1/prompts/p/versions", json={"kind": "text", "text": "{% if %}"})
    assert (broken.status_code, "line 1" in broken.json()["detail"]) == (400, True)
    assert client.get("/api/v1/prompts/nope").status_code == 404
    assert client.get("/api/v1/prompts/p%00q").status_code in (400, 404)
