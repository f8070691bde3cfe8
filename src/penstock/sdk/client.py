"""The management API as Python: `Client(url, api_key).prompts.list()` and so on.

Every method is one HTTP call. Records are the API's JSON objects, whose fields docs/api.md lists; lists page by
themselves. Errors are exceptions (`penstock.sdk.errors`); 429, 503 and broken connections are tried again.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from penstock.sdk import (
    eval_resources,
    feedback_resources,
    gateway_resources,
    limit_resources,
    model_resources,
    pipeline_resources,
    release_resources,
    resources,
    run_resources,
    serving_resources,
    trace_resources,
    training_resources,
)
from penstock.sdk.config import Config, from_environment
from penstock.sdk.transport import Answer, Body, HttpTransport, Stream, Transport

API = "/api/v1"


class Client:
    """A connection to one server, as one caller. Safe to share between threads."""

    def __init__(
        self,
        url: str | None = None,
        api_key: str | None = None,
        *,
        project: str | None = None,
        config: Config | None = None,
        transport: Transport | None = None,
    ) -> None:
        self.config = config or from_environment(url, api_key, project)
        self.transport: Transport = transport or HttpTransport(self.config)
        self.memory: dict[str, Any] = {}
        """What parts of the SDK keep for as long as the client lives, such as fetched prompts."""
        self.prompts = resources.Prompts(self)
        self.traces = trace_resources.Traces(self)
        self.sessions = trace_resources.Sessions(self)
        self.users = trace_resources.Users(self)
        self.usage = trace_resources.Usage(self)
        self.views = trace_resources.Views(self)
        self.logs = trace_resources.Logs(self)
        self.metrics = trace_resources.Metrics(self)
        self.datasets = resources.Datasets(self)
        self.evals = eval_resources.Evals(self)
        self.feedback = feedback_resources.Feedback(self)
        self.score_configs = feedback_resources.ScoreConfigs(self)
        self.queues = feedback_resources.Queues(self)
        self.training = training_resources.Training(self)
        self.pipelines = pipeline_resources.Pipelines(self)
        self.runs = run_resources.Runs(self)
        self.models = model_resources.Models(self)
        self.optimisations = model_resources.Optimisations(self)
        self.deployments = serving_resources.Deployments(self)
        self.releases = release_resources.Releases(self)
        self.keys = resources.Keys(self)
        self.jobs = resources.Jobs(self)
        self.gateway = resources.Gateway(self)
        self.limits = limit_resources.Limits(self)
        self.budgets = limit_resources.Budgets(self)
        self.alerts = limit_resources.Alerts(self)
        self.prices = gateway_resources.Prices(self)
        self.caches = gateway_resources.Caches(self)
        self.guardrails = gateway_resources.Guardrails(self)

    def __repr__(self) -> str:
        return f"Client({self.config!r})"

    def me(self) -> resources.Record:
        """Return who the key belongs to: name, role, project."""
        return self.get("/me")

    def lineage(self, kind: str, ref: str) -> resources.Record:
        """Return what `ref` (such as `model_version`, `ticket-triage@3`) came from and what came from it."""
        return self.get(f"/lineage/{resources.segment(kind)}/{resources.segment(ref)}")

    def get(self, path: str, **query: Any) -> resources.Record:
        """Return the JSON of `GET /api/v1<path>`; queries that are None are left out."""
        return _record(self.transport.send("GET", API + path, query=query))

    def send(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
    ) -> resources.Record:
        """Return the JSON answer of another method with a JSON body; empty for an empty answer."""
        encoded = resources.encode(body) if body is not None else None
        return _record(self.transport.send(method, API + path, query=query, body=encoded))

    def upload(
        self, path: str, body: Body, *, content_type: str, query: Mapping[str, Any]
    ) -> resources.Record:
        """Return the JSON answer of a POST whose body is a file."""
        return _record(
            self.transport.send("POST", API + path, query=query, body=body, content_type=content_type)
        )

    def stream(self, path: str, **query: Any) -> AbstractContextManager[Stream]:
        """Open `GET /api/v1<path>`, whose body is read as it comes."""
        return self.transport.stream(API + path, query=query)

    def pages(self, path: str, **query: Any) -> Iterator[resources.Record]:
        """Yield the items of a list, fetching the next page when the last one is used up."""
        cursor = None
        while True:
            page = self.get(path, cursor=cursor, **query)
            yield from page["items"]
            cursor = page.get("next")
            if not cursor:
                return


def _record(answer: Answer) -> resources.Record:
    decoded = answer.json()
    return decoded if isinstance(decoded, dict) else {}
