"""The groups of a `Client` that read what was recorded: traces, sessions, users, usage, saved views."""

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from penstock.sdk.resources import FILE_TYPE, Calls, Record, segment
from penstock.sdk.transport import Stream

Export = Literal["jsonl", "parquet", "otlp", "otlp-protobuf"]
Import = Literal["langfuse", "phoenix", "mlflow", "jsonl", "parquet"]

CHUNK = 1 << 18


class StreamingCalls(Calls, Protocol):
    """What these groups need of their client."""

    def stream(self, path: str, **query: Any) -> contextlib.AbstractContextManager[Stream]:
        """GET below /api/v1, its body read as it comes."""
        ...


class _Group:
    def __init__(self, client: StreamingCalls) -> None:
        self._client = client

    def _parts(self, path: str) -> Iterator[Record]:
        """Yield a record page by page, each fetched when it is its turn."""
        cursor = None
        while True:
            page = self._client.get(path, cursor=cursor)
            yield page
            cursor = page.get("next")
            if not cursor:
                return

    def _whole(self, path: str) -> Record:
        """Return a record whose `spans` are those of all pages."""
        parts = self._parts(path)
        found = next(parts)
        for page in parts:
            found["spans"] += page["spans"]
            found["next"] = page.get("next")
        return found


class Traces(_Group):
    """Recorded calls and what they cost."""

    def list(self, query: str | None = None, **filters: Any) -> Iterator[Record]:
        """Yield traces, newest first, that match `query` (`model:gpt-* latency>2s text:"refund"`) and the filters.

        Filters are those of `GET /traces`: since, until, model, user, session, status, tag, and so on. Pages are
        fetched as they are needed; stop whenever you have enough.
        """
        return self._client.pages("/traces", query=query, **filters)

    def get(self, trace_id: str) -> Record:
        """Return one trace with all its spans, without their bodies."""
        return self._whole(f"/traces/{segment(trace_id)}")

    def span(self, trace_id: str, span_id: str) -> Record:
        """Return one span with input, output, attributes and events."""
        return self._client.get(f"/traces/{segment(trace_id)}/spans/{segment(span_id)}")

    def spans(self, trace_id: str) -> Iterator[Record]:
        """Yield the spans of one trace, whole, each fetched when it is its turn."""
        for page in self._parts(f"/traces/{segment(trace_id)}"):
            for row in page["spans"]:
                yield self.span(trace_id, row["span_id"])

    def diff(self, left: str, right: str) -> Record:
        """Return two traces side by side: all pairs of spans and what differs between them."""
        return self._whole(f"/traces/{segment(left)}/diff/{segment(right)}")

    def histogram(self, query: str | None = None, **range_: Any) -> Iterator[Record]:
        """Yield how many traces, and how many with errors, fall into each of `buckets` between `since` and `until`."""
        return self._client.pages("/traces/histogram", query=query, **range_)

    def facets(self, key: str | None = None, *, prefix: str | None = None) -> Iterator[Record]:
        """Yield the values of `key` and how many traces have them; without a key the keys there are."""
        return self._client.pages("/traces/facets", key=key, prefix=prefix)

    def tail(self, query: str | None = None, **filters: Any) -> Iterator[Record]:
        """Yield traces as they arrive, until the loop is left. Raises ConnectionFailed when the server goes away."""
        with self._client.stream("/traces/tail", query=query, **filters) as stream:
            event = ""
            for line in stream.lines():
                name, _, value = line.decode("utf-8", "replace").rstrip("\r\n").partition(":")
                value = value.removeprefix(" ")
                if not name and not value:
                    event = ""
                elif name == "event":
                    event = value
                elif name == "data" and event in ("trace", ""):
                    yield json.loads(value)

    def export(
        self, query: str | None = None, *, format: Literal["jsonl", "otlp"] = "jsonl", **filters: Any
    ) -> Iterator[Record]:
        """Yield the matching traces' spans (`jsonl`), or OTLP requests of them (`otlp`), as they arrive."""
        with self._client.stream("/traces/export", query=query, format=format, **filters) as stream:
            for line in stream.lines():
                if line.strip():
                    yield json.loads(line)

    def download(
        self, to: Path | str, query: str | None = None, *, format: Export = "jsonl", **filters: Any
    ) -> Path:
        """Write the matching traces into a file, which appears only when it is complete, and return its path."""
        path = Path(to)
        part = path.with_name(f".{path.name}.part")
        try:
            with (
                self._client.stream("/traces/export", query=query, format=format, **filters) as stream,
                part.open("wb") as file,
            ):
                file.writelines(stream.chunks(CHUNK))
            return part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def upload(self, source: Path | str, *, format: Import) -> Record:
        """Import a file that Langfuse, Phoenix, MLflow or Penstock exported.

        Returns counts and the rows set aside; of a large file the `job` that will have them as its result.
        """
        with Path(source).open("rb") as file:
            return self._client.upload(
                "/traces/import", file, content_type=FILE_TYPE, query={"format": format}
            )

    def erase(
        self,
        *,
        user: str | None = None,
        session: str | None = None,
        trace_ids: Iterable[str] = (),
        dry_run: bool = False,
        wait_seconds: float = 5.0,
    ) -> Record:
        """Erase the traces of a user or session, or by id, everywhere; `dry_run` only counts them.

        When it returns nobody finds them any more. `left` in the answer is how many traces' rows are still being
        deleted after `wait_seconds` (at most 600; give the client a longer timeout): 0 means that all is erased.
        """
        body: dict[str, Any] = {"user": user, "session": session, "trace_ids": list_of(trace_ids)}
        body |= {"dry_run": dry_run, "wait_seconds": wait_seconds}
        return self._client.send("POST", "/traces/erase", body)

    def redact(self, *, query: str | None = None, trace_ids: Iterable[str] = (), **what: Any) -> Record:
        """Mask contents after the fact; `what` as in `POST /traces/redact`: fields, detectors, patterns, dry_run."""
        body = {"query": query, "trace_ids": list_of(trace_ids), **what}
        return self._client.send("POST", "/traces/redact", body)

    def reprice(self, *, since: str, dry_run: bool = False, **what: Any) -> Record:
        """Price the calls since a time (ISO 8601) by the prices that hold now; returns the job, with `dry_run` what
        would change. `what` as in `POST /traces/reprice`: until, model, given."""
        return self._client.send("POST", "/traces/reprice", {"since": since, "dry_run": dry_run, **what})

    def policies(self) -> Record:
        """Return the project's rules of retention, sampling and masking."""
        return self._client.get("/traces/policies")

    def set_policies(self, policies: Mapping[str, Any]) -> Record:
        """Replace the project's rules; fields as in `PUT /traces/policies`."""
        return self._client.send("PUT", "/traces/policies", policies)


class Sessions(_Group):
    """Conversations: the traces that carry the same session."""

    def list(self, query: str | None = None, **filters: Any) -> Iterator[Record]:
        """Yield the sessions, the one with the latest trace first."""
        return self._client.pages("/sessions", query=query, **filters)

    def get(self, session: str) -> Record:
        """Return one session: its totals, and its turns as far as one page holds them."""
        return self._client.get(f"/sessions/{segment(session)}")

    def turns(self, session: str) -> Iterator[Record]:
        """Yield every turn of a session, oldest first: input, output, cost, duration and trace_id."""
        for page in self._parts(f"/sessions/{segment(session)}"):
            yield from page["turns"]


class Users(_Group):
    """Who the traced programs work for."""

    def list(self, query: str | None = None, **filters: Any) -> Iterator[Record]:
        """Yield the users, the one with the latest trace first."""
        return self._client.pages("/users", query=query, **filters)

    def get(self, user: str) -> Record:
        """Return one user's totals."""
        return self._client.get(f"/users/{segment(user)}")


class Usage(_Group):
    """What model calls used and cost."""

    def by(self, dimension: str = "model", **filters: Any) -> Iterator[Record]:
        """Yield calls, errors, tokens and cost per model, provider, user, key, tag, day or whatever else
        `GET /usage` groups by."""
        return self._client.pages("/usage", group_by=dimension, **filters)

    def over_time(self, **filters: Any) -> Iterator[Record]:
        """Yield calls, errors, latencies, tokens and cost per bucket; filters as in `GET /timeseries`."""
        return self._client.pages("/timeseries", **filters)


class Logs(_Group):
    """Log records that applications sent by OpenTelemetry."""

    def list(self, **filters: Any) -> Iterator[Record]:
        """Yield records, newest first; filters as in `GET /logs`: since, until, service, event, trace_id, span_id,
        min_severity (9 info, 13 warning, 17 error) and q. Pages are fetched as they are needed."""
        return self._client.pages("/logs", **filters)


class Metrics(_Group):
    """Metrics that applications sent by OpenTelemetry, added up by hour."""

    def list(self) -> Iterator[Record]:
        """Yield the metrics that were reported: name, unit, kind, series and the labels to group by."""
        return self._client.pages("/metrics/otlp")

    def get(self, name: str, *, by: str = "", **range_: Any) -> Iterator[Record]:
        """Yield count, sum, low, high, p50, p95 and p99 of each hour between `since` and `until`, per value of the
        label `by`."""
        return self._client.pages(f"/metrics/otlp/{segment(name)}", by=by or None, **range_)


class Views(_Group):
    """Saved queries of the traces page."""

    def list(self) -> Iterator[Record]:
        """Yield the caller's views and the shared ones."""
        return self._client.pages("/views")

    def get(self, name: str) -> Record:
        """Return one view."""
        return self._client.get(f"/views/{segment(name)}")

    def save(self, name: str, *, query: str, columns: Iterable[str] = (), shared: bool = False) -> Record:
        """Make or replace a view."""
        body = {"query": query, "columns": list_of(columns), "shared": shared}
        return self._client.send("PUT", f"/views/{segment(name)}", body)

    def delete(self, name: str) -> None:
        """Forget a view."""
        self._client.send("DELETE", f"/views/{segment(name)}")


def list_of(values: Iterable[str]) -> "list[str]":
    """Return the values as a list; a single text counts as one value."""
    return [values] if isinstance(values, str) else [*values]
