"""The group of a `Client` for deployments."""

from collections.abc import Iterator
from typing import Any

from penstock.sdk import watching
from penstock.sdk.errors import SdkError
from penstock.sdk.resources import Calls, Record, segment


class Deployments:
    """Models behind endpoints."""

    def __init__(self, client: Calls) -> None:
        self._client = client

    def list(self, **filters: Any) -> Iterator[Record]:
        """Yield the deployments."""
        return self._client.pages("/deployments", **filters)

    def create(self, name: str, model: str, **options: Any) -> Record:
        """Deploy a model version such as `ticket-triage@3`."""
        return self._client.send("POST", "/deployments", {"name": name, "model": model, **options})

    def get(self, name: str) -> Record:
        """Return a deployment: its state, versions, replicas and history."""
        return self._client.get(f"/deployments/{segment(name)}")

    def update(self, name: str, **changes: Any) -> Record:
        """Change a deployment, replica by replica; fields as in `PUT /deployments/{name}`."""
        return self._client.send("PUT", f"/deployments/{segment(name)}", changes)

    def scale(self, name: str, replicas: int | None = None, **rule: Any) -> Record:
        """Set the number of replicas, or the rule by which it follows the load: `min=`, `max=`, `requests=` …"""
        body = {"replicas": replicas, **rule}
        return self._client.send("PUT", f"/deployments/{segment(name)}/scale", body)

    def retry(self, name: str) -> Record:
        """Start replicas again that were given up."""
        return self._client.send("POST", f"/deployments/{segment(name)}/retry")

    def logs(self, name: str, **filters: Any) -> Iterator[Record]:
        """Yield the end of each replica's output; `replica=` of one, `tail=` lines."""
        return self._client.pages(f"/deployments/{segment(name)}/logs", **filters)

    def put_adapter(self, name: str, adapter: str, model: str) -> Record:
        """Serve a registered LoRA adapter as `name:adapter`, without a restart."""
        path = f"/deployments/{segment(name)}/adapters/{segment(adapter)}"
        return self._client.send("PUT", path, {"model": model})

    def delete_adapter(self, name: str, adapter: str) -> Record:
        """Stop serving an adapter."""
        return self._client.send("DELETE", f"/deployments/{segment(name)}/adapters/{segment(adapter)}")

    def watch(
        self, name: str, *, timeout: float | None = None, every: float = watching.EVERY_SECONDS
    ) -> Iterator[Record]:
        """Yield the deployment whenever something about it has changed, until it answers, sleeps or has failed."""
        return watching.changes(
            lambda: self.get(name), _settled, f"The deployment {name}", timeout=timeout, every=every
        )

    def wait(self, name: str, *, timeout: float = 600.0) -> Record:
        """Return the deployment once it answers (or sleeps); SdkError when it fails, or after `timeout` seconds."""
        found = watching.last_of(self.watch(name, timeout=timeout))
        if found["state"] == "failed":
            errors = [replica["error"] for replica in found["replicas"] if replica.get("error")]
            raise SdkError(f"The deployment {name} failed: {errors[0] if errors else 'see its logs'}.")
        return found

    def canary(self, name: str, model: str, weight: float) -> Record:
        """Send a part of the traffic to another version. (`client.releases` decides about it by evidence.)"""
        body = {"model": model, "weight": weight}
        return self._client.send("POST", f"/deployments/{segment(name)}/canary", body)

    def compare(self, name: str, *, since: str | None = None) -> Record:
        """Return the canary beside production, by the calls of both since it began."""
        return self._client.get(f"/deployments/{segment(name)}/canary", since=since)

    def promote(self, name: str) -> Record:
        """Give the canary all traffic."""
        return self._client.send("POST", f"/deployments/{segment(name)}/promote")

    def rollback(self, name: str) -> Record:
        """Take the canary, or the last promotion, back."""
        return self._client.send("POST", f"/deployments/{segment(name)}/rollback")

    def remove(self, name: str) -> None:
        """Stop a deployment and take it away."""
        self._client.send("DELETE", f"/deployments/{segment(name)}")


def _settled(found: Record) -> bool:
    return found["state"] in ("ready", "asleep", "failed")
