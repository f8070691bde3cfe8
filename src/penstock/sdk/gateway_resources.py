"""The groups of a `Client` for prices, caches and guardrails."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock.sdk.resources import Calls, Record, segment


class Prices:
    """What tokens, images and calls cost: the project's own prices, and the list prices of the release."""

    def __init__(self, client: Calls) -> None:
        self._client = client

    def list(self) -> Iterator[Record]:
        """Yield the prices that the project set itself."""
        return self._client.pages("/prices")

    def put(
        self, model: str, input: float, output: float = 0.0, *, provider: str = "", **fields: Any
    ) -> None:
        """Set a price of the project's own, in US dollars per million tokens; later calls are priced by it.

        `model` is a name, or a pattern with * and ?. Fields as in `PUT /prices`: `cached`, `reasoning`, `tiers`, …
        """
        given = {"model": model, "provider": provider, "input": input, "output": output, **fields}
        self._client.send("PUT", "/prices", given)

    def delete(self, model: str, provider: str = "") -> None:
        """Drop a price of the project's own; raises NotFound."""
        self._client.send("DELETE", "/prices", query={"model": model, "provider": provider})

    def show(self, model: str, provider: str = "") -> Record:
        """Return which price a call of a model has now, and why; raises NotFound."""
        return self._client.get("/prices/show", model=model, provider=provider)

    def history(
        self, model: str | None = None, *, provider: str | None = None, limit: int = 100
    ) -> Iterator[Record]:
        """Yield the versions of the project's prices, the newest first, at most `limit` and 1000."""
        return self._client.pages("/prices/history", model=model, provider=provider, limit=limit)

    def version(self, version: str) -> Record:
        """Return the price that a cost names as `own:…`; raises NotFound."""
        return self._client.get(f"/prices/versions/{segment(version)}")

    def book(self, q: str = "") -> Record:
        """Return the list prices of the release (`version`, `about`, `items`), of models whose name holds `q`."""
        return self._client.get("/prices/book", q=q)

    def load(self, document: Mapping[str, Any], *, replace: bool = False) -> int:
        """Set all prices of a document `{"prices": [{"model": …, "price": {…}}]}` at once; returns how many changed.

        `replace` drops the project's prices that it does not name. Raises Invalid, and then nothing is set.
        """
        done = self._client.send("POST", "/prices/import", document, query={"replace": replace})
        return int(done["changed"])


class Caches:
    """Which routes keep their answers, and what is kept."""

    def __init__(self, client: Calls) -> None:
        self._client = client

    def list(self) -> Iterator[Record]:
        """Yield the policies: a route each, `*` for every other one."""
        return self._client.pages("/cache/policies")

    def put(self, route: str, **fields: Any) -> Record:
        """Let a route keep its answers; fields as in `PUT /cache/policies/{route}`: `mode`, `ttl`, `scope`, …"""
        return self._client.send("PUT", f"/cache/policies/{segment(route)}", fields)

    def delete(self, route: str) -> None:
        """Let a route keep no answers any more, and throw those it has away; raises NotFound."""
        self._client.send("DELETE", f"/cache/policies/{segment(route)}")

    def stats(self) -> Record:
        """Return how much the project keeps, and what the process that answers did since it started."""
        return self._client.get("/cache/stats")

    def purge(self, route: str | None = None) -> int:
        """Throw the project's kept answers away, or those of one route; returns how many."""
        query = {} if route is None else {"route": route}
        return int(self._client.send("DELETE", "/cache", query=query)["purged"])


class Guardrails:
    """Policies of guards over requests and answers. Putting one makes a version; those before stay."""

    def __init__(self, client: Calls) -> None:
        self._client = client

    def list(self) -> Iterator[Record]:
        """Yield the policies in force."""
        return self._client.pages("/guardrails")

    def kinds(self) -> Iterator[Record]:
        """Yield the kinds of guards: where they look, what they can do, and their options."""
        return self._client.pages("/guardrails/kinds")

    def get(self, name: str, number: int | None = None) -> Record:
        """Return the version in force, or another; raises NotFound."""
        path = f"/guardrails/{segment(name)}"
        return self._client.get(path if number is None else f"{path}/versions/{number}")

    def put(self, name: str, guards: Sequence[Mapping[str, Any]], **fields: Any) -> Record:
        """Put a new version in force: guards in order, each `{"kind": …, "action": …, "options": {…}}`.

        Fields as in `PUT /guardrails/{name}`: `routes`, `keys`, `order`, `record`, `description`.
        """
        return self._client.send("PUT", f"/guardrails/{segment(name)}", {"guards": [*guards], **fields})

    def versions(self, name: str) -> Iterator[Record]:
        """Yield every version of a policy, the newest first; raises NotFound."""
        return self._client.pages(f"/guardrails/{segment(name)}/versions")

    def check(self, text: str, **fields: Any) -> Record:
        """Try a text against the policies, or against `rules=` that are not kept: `allowed`, `text`, `verdicts`, ….

        Fields as in `POST /guardrails/check`: `stage`, `route`, `key`, `policy`, …. Nothing is recorded.
        """
        return self._client.send("POST", "/guardrails/check", {"text": text, **fields})

    def delete(self, name: str) -> None:
        """Take a policy out of force; its versions stay. Raises NotFound."""
        self._client.send("DELETE", f"/guardrails/{segment(name)}")
