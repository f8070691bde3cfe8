"""Every verb for models and their variants is a call that the API has, with members that it knows."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from penstock.sdk.model_resources import Models, Optimisations

API: dict[str, Any] = json.loads((Path(__file__).parents[2] / "openapi.json").read_text())


class Asked:
    """Takes a client's place: remembers the last call."""

    method, path = "", ""
    body: Mapping[str, Any]
    query: dict[str, Any]

    def get(self, path: str, **query: Any) -> dict[str, Any]:
        self.method, self.path, self.query, self.body = "get", path, query, {}
        return {"state": "succeeded"}

    def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        self.method, self.path, self.query, self.body = method.lower(), path, dict(query or {}), body or {}
        return {"job": "job_1"}

    def upload(self, path: str, body: Any, *, content_type: str, query: Mapping[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    def pages(self, path: str, **query: Any) -> Iterator[dict[str, Any]]:
        return iter([self.get(path, **query)])


def operation(asked: Asked) -> dict[str, Any]:
    """Return what openapi.json says of the call; a path without parameters comes before one with."""
    for template in sorted(API["paths"], key=lambda path: path.count("{")):
        pattern = re.sub(r"\\{[^}]*\\}", "[^/]+", re.escape(template))
        if re.fullmatch(pattern, f"/api/v1{asked.path}") and asked.method in API["paths"][template]:
            found: dict[str, Any] = API["paths"][template][asked.method]
            return found
    raise AssertionError(f"The API has no {asked.method} {asked.path}.")


def members(said: dict[str, Any]) -> set[str]:
    """Return the members of a call's body."""
    schema = said["requestBody"]["content"]["application/json"]["schema"]
    return set(API["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["properties"])


CALLS: list[Callable[[Asked], object]] = [
    lambda at: list(Models(at).list(query="x", kind="base", stage="staging", tag="t")),
    lambda at: Models(at).get("m"),
    lambda at: Models(at).version("m", 1),
    lambda at: Models(at).set_alias("m", "production", 1),
    lambda at: Models(at).tag("m", "t"),
    lambda at: Models(at).untag("m", "t"),
    lambda at: Models(at).import_from("hub", "m", repository="a/b", revision="main"),
    lambda at: Models(at).export("m", 1, format="gguf", quantization="q8_0"),
    lambda at: Models(at).set_stage("m", 1, "staging", comment="why"),
    lambda at: list(Models(at).transitions("m", 1)),
    lambda at: list(Models(at).requests(state="open", model="m")),
    lambda at: Models(at).approve("req_1", reason="good"),
    lambda at: Models(at).reject("req_1", reason="bad"),
    lambda at: Models(at).lineage("m", 1, direction="up", depth=3),
    lambda at: Models(at).card("m", 1),
    lambda at: Models(at).edit_card("m", 1, "text"),
    lambda at: Models(at).state("m", 1, licence="MIT", intended_use="x", signature={}),
    lambda at: Models(at).verify("m", 1),
    lambda at: list(Optimisations(at).list(version="m@1")),
    lambda at: list(Optimisations(at).methods()),
    lambda at: Optimisations(at).start("m@1", [{"method": "gguf"}], suite="s", choose={"by": "load_s"}),
    lambda at: Optimisations(at).get("opt_1"),
    lambda at: Optimisations(at).cancel("opt_1"),
    lambda at: Optimisations(at).wait("opt_1"),
]


@pytest.mark.parametrize("call", CALLS, ids=[str(place) for place in range(len(CALLS))])
def test_the_api_has_the_call(call: Callable[[Asked], object]) -> None:
    asked = Asked()
    call(asked)
    said = operation(asked)
    known = {one["name"] for one in said.get("parameters", []) if one["in"] == "query"}
    assert set(asked.query) <= known
    assert bool(asked.body) <= ("requestBody" in said)
    if asked.body:
        assert set(asked.body) <= members(said)


def test_every_verb_is_held_to_it() -> None:
    verbs = {name for group in (Models, Optimisations) for name in vars(group) if not name.startswith("_")}
    used = {name for call in CALLS for name in call.__code__.co_names}
    assert verbs - {"watch"} <= used, "wait looks by watch"


def test_jobs_are_returned_by_their_id() -> None:
    assert Models(Asked()).export("m", 1) == "job_1"
    assert Models(Asked()).import_from("mlflow", "m") == "job_1"
    assert Models(Asked()).verify("m", 1) == "job_1"
