"""The groups of a `Client` for people's judgement: feedback, score configs, annotation queues."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock.sdk.resources import Calls, Record, segment


class Feedback:
    """People's judgement of recorded answers and sessions."""

    def __init__(self, client: Calls) -> None:
        self._client = client

    def list(self, **filters: Any) -> Iterator[Record]:
        """Yield feedback, newest first."""
        return self._client.pages("/feedback", **filters)

    def give(
        self,
        trace_id: str | None = None,
        *,
        name: str = "thumb",
        value: Any = None,
        comment: str | None = None,
        span_id: str | None = None,
        source: str | None = None,
        **more: Any,
    ) -> Record:
        """Attach a judgement to a trace, or with `session=`, `request_id=` or `response_id=` to what these name.

        `more` are the other fields of `POST /feedback`: `subject`, `key`.
        """
        body = {"name": name, "value": value, "comment": comment, "span_id": span_id, "source": source}
        return self._client.send("POST", "/feedback", {"trace_id": trace_id, **body, **more})

    def token(self, trace_id: str | None = None, **fields: Any) -> Record:
        """Make a token with which an end user may judge this one answer; fields as in `POST /feedback/tokens`."""
        return self._client.send("POST", "/feedback/tokens", {"trace_id": trace_id, **fields})

    def build_dataset(self, name: str, *, kind: str = "preference", route: str | None = None) -> Record:
        """Make a dataset version of collected feedback: `preference` pairs or `sft` rows."""
        return self._client.send("POST", "/feedback/datasets", {"name": name, "kind": kind, "route": route})


class ScoreConfigs:
    """What values a project's scores may have."""

    def __init__(self, client: Calls) -> None:
        self._client = client

    def list(self) -> Iterator[Record]:
        """Yield the score configs by name."""
        return self._client.pages("/score-configs")

    def put(self, name: str, *, kind: str, **fields: Any) -> Record:
        """Set what a score may be: `number` (low, high), `categorical` (options) or `boolean`."""
        return self._client.send("PUT", f"/score-configs/{segment(name)}", {"kind": kind, **fields})

    def delete(self, name: str) -> None:
        """Let a score be any number again."""
        self._client.send("DELETE", f"/score-configs/{segment(name)}")


class Queues:
    """Annotation queues and an annotator's way through them."""

    def __init__(self, client: Calls) -> None:
        self._client = client

    def list(self) -> Iterator[Record]:
        """Yield the queues with their progress."""
        return self._client.pages("/queues")

    def create(self, name: str, *, labels: Sequence[Mapping[str, Any]], **fields: Any) -> Record:
        """Make a queue and fill it from its `source`; fields as in `POST /queues`."""
        body = {"name": name, "labels": [dict(label) for label in labels], **fields}
        return self._client.send("POST", "/queues", body)

    def get(self, name: str) -> Record:
        """Return a queue with progress, agreement and annotators."""
        return self._client.get(f"/queues/{segment(name)}")

    def change(self, name: str, **changes: Any) -> Record:
        """Change a queue; fields as in `PATCH /queues/{name}`."""
        return self._client.send("PATCH", f"/queues/{segment(name)}", changes)

    def delete(self, name: str) -> None:
        """Delete a queue with all answers in it."""
        self._client.send("DELETE", f"/queues/{segment(name)}")

    def add(self, name: str, **source: Any) -> Record:
        """Add items: `query=`, `trace_ids=`, `pairs=` or `dataset=`; `assign_to=` names their only annotator."""
        return self._client.send("POST", f"/queues/{segment(name)}/items", source)

    def items(self, name: str, **filters: Any) -> Iterator[Record]:
        """Yield items with the answers the caller may see; `state=` chooses some."""
        return self._client.pages(f"/queues/{segment(name)}/items", **filters)

    def item(self, item_id: str) -> Record:
        """Return one item with its content."""
        return self._client.get(f"/queues/items/{segment(item_id)}")

    def next(self, name: str, *, suggestions: bool = True) -> Record | None:
        """Reserve and return the next item, or the one the caller has; None when nothing is left."""
        path = f"/queues/{segment(name)}/next"
        item: Record | None = self._client.send("POST", path, {"suggestions": suggestions})["item"]
        return item

    def draft(self, item_id: str, values: Mapping[str, Any], *, comment: str = "") -> Record:
        """Keep an unfinished answer and the reservation alive."""
        body = {"values": dict(values), "comment": comment}
        return self._client.send("PUT", f"/queues/items/{segment(item_id)}/draft", body)

    def answer(self, item_id: str, values: Mapping[str, Any], *, comment: str = "") -> Record:
        """Answer an item."""
        body = {"values": dict(values), "comment": comment}
        return self._client.send("POST", f"/queues/items/{segment(item_id)}/answer", body)

    def skip(self, item_id: str, *, comment: str = "") -> Record:
        """Leave an item to others."""
        return self._client.send("POST", f"/queues/items/{segment(item_id)}/skip", {"comment": comment})

    def undo(self, item_id: str) -> Record:
        """Take the caller's answer or skip back; returns the item with the answer as draft."""
        found: Record = self._client.send("POST", f"/queues/items/{segment(item_id)}/undo")["item"]
        return found

    def suggest_all(self, name: str, model: str, *, votes: int = 1, limit: int = 1000) -> Record:
        """Have a model of the gateway suggest answers to the open items; returns `job_id` for `jobs.wait`."""
        body = {"model": model, "votes": votes, "limit": limit}
        return self._client.send("POST", f"/queues/{segment(name)}/suggest", body)

    def suggest(self, item_id: str, values: Mapping[str, Any], **fields: Any) -> Record:
        """Store what a model would answer; `confidence=` and `model=` beside it."""
        body = {"values": dict(values), **fields}
        return self._client.send("PUT", f"/queues/items/{segment(item_id)}/suggestion", body)

    def adjudicate(self, item_id: str, values: Mapping[str, Any], *, comment: str = "") -> Record:
        """Decide an item for good."""
        body = {"values": dict(values), "comment": comment}
        return self._client.send("POST", f"/queues/items/{segment(item_id)}/adjudicate", body)

    def export(self, name: str, dataset: str, *, kind: str = "labels", **fields: Any) -> Record:
        """Make a dataset version: `labels`, `sft` rows or `preference` pairs."""
        body = {"dataset": dataset, "kind": kind, **fields}
        return self._client.send("POST", f"/queues/{segment(name)}/export", body)
