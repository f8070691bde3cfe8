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


def test_a_protected_label_over_http(client: TestClient) -> None:
    for text in ("one", "two"):
        client.post("/api/v1/prompts/p/versions", json={"kind": "text", "text": text})
    client.put("/api/v1/prompts/p/labels/production", json={"version": 1})
    assert client.put("/api/v1/prompts/p/protected/production").json()["protected"] == ["production"]
    asked = client.put("/api/v1/prompts/p/labels/production", json={"version": 2, "note": "better"})
    assert (asked.status_code, asked.json()["request"]["state"]) == (202, "open")
    (waiting,) = client.get("/api/v1/prompts/p/requests?state=open").json()["items"]
    assert (waiting["version"], waiting["previous"], waiting["note"]) == (2, 1, "better")
    own = client.post(f"/api/v1/prompts/requests/{waiting['id']}/approve")
    assert (own.status_code, "yourself" in own.json()["detail"]) == (403, True)
    denied = client.post("/api/v1/prompts/p/labels/production/rollback", json={})
    assert denied.status_code == 409
    gone = client.post(f"/api/v1/prompts/requests/{waiting['id']}/reject", json={"reason": "later"})
    assert (gone.json()["state"], gone.json()["reason"]) == ("rejected", "later")
    assert client.delete("/api/v1/prompts/p/protected/production").json()["protected"] == []
    assert client.put("/api/v1/prompts/p/labels/production", json={"version": 2}).status_code == 200
    back = client.post("/api/v1/prompts/p/labels/production/rollback", json={"reason": "down"})
    assert back.json()["labels"]["production"] == 1
    (last, *_) = client.get("/api/v1/prompts/p/labels/production/history").json()["items"]
    assert (last["kind"], last["version"], last["previous"], last["note"]) == ("rollback", 1, 2, "down")
    assert "production" not in client.delete("/api/v1/prompts/p/labels/production").json()["labels"]


def test_tags_and_search_over_http(client: TestClient) -> None:
    for name in ("a", "b"):
        client.post("/api/v1/prompts/" + name + "/versions", json={"kind": "text", "text": f"says {name}!"})
    assert client.put("/api/v1/prompts/a/tags", json={"tags": ["mail", "mail"]}).json()["tags"] == ["mail"]

    def names(query: str) -> list[str]:
        return [prompt["name"] for prompt in client.get(f"/api/v1/prompts?{query}").json()["items"]]

    assert (names("tag=mail"), names("query=b!"), names("q=says"), names("tag=x")) == (
        ["a"],
        ["b"],
        ["a", "b"],
        [],
    )


def test_includes_over_http(client: TestClient) -> None:
    client.post("/api/v1/prompts/tone/versions", json={"kind": "text", "text": "Be kind."})
    made = client.post(
        "/api/v1/prompts/top/versions", json={"kind": "text", "text": "{% include 'tone' %} {{ q }}"}
    ).json()
    assert made["includes"] == ["tone"]
    rendered = client.post("/api/v1/prompts/top/render", json={"variables": {"q": "Hi"}}).json()
    assert (rendered["text"], rendered["includes"]) == ("Be kind. Hi", {"tone": "tone@1"})
