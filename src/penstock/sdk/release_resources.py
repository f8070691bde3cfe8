"""The group of a `Client` for releases."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock.sdk import watching
from penstock.sdk.resources import Calls, Record, segment

ENDED = ("promoted", "rolled_back")
SETTLED = (*ENDED, "decided")


class Releases:
    """Releases of models, prompts, routes and parameters. `release` is an id, or a name: then the newest of it."""

    def __init__(self, client: Calls) -> None:
        self._client = client

    def list(self, **filters: Any) -> Iterator[Record]:
        """Yield releases, newest first; `state=` those in one state."""
        return self._client.pages("/releases", **filters)

    def start(
        self,
        name: str,
        *,
        kind: str,
        subject: Mapping[str, Any],
        arms: Sequence[Mapping[str, Any]],
        **plan: Any,
    ) -> Record:
        """Begin a release; further fields as in `POST /releases`. The first arm is the control."""
        body = {"name": name, "kind": kind, "subject": dict(subject), "arms": [dict(arm) for arm in arms]}
        return self._client.send("POST", "/releases", {**body, **plan})

    def get(self, release: str) -> Record:
        """Return a release: its state, arms with their figures, comparisons, decisions."""
        return self._client.get(f"/releases/{segment(release)}")

    def compare(self, release: str) -> dict[str, dict[str, Record]]:
        """Return arm → metric → how it compares with the control: difference, low, high, verdict."""
        found: dict[str, dict[str, Record]] = {}
        for each in self.get(release)["comparisons"]:
            found.setdefault(each["arm"], {})[each["metric"]] = each
        return found

    def decisions(self, release: str) -> Sequence[Record]:
        """Return what was decided, by whom and on what evidence, newest first."""
        found: Sequence[Record] = self.get(release)["decisions"]
        return found

    def watch(
        self, release: str, *, timeout: float | None = None, every: float = watching.EVERY_SECONDS
    ) -> Iterator[Record]:
        """Yield the release whenever something about it has changed, until it has ended."""
        id = self.get(release)["id"]  # a name may come to mean a newer one meanwhile
        what = f"The release {release}"
        return watching.changes(
            lambda: self.get(id), lambda found: found["state"] in ENDED, what, timeout=timeout, every=every
        )

    def wait(self, release: str, *, timeout: float = 3600.0) -> Record:
        """Return the release once it has ended, or waits for somebody to decide; SdkError after `timeout` seconds."""
        id = self.get(release)["id"]
        found = watching.changes(
            lambda: self.get(id),
            lambda found: found["state"] in SETTLED,
            f"The release {release}",
            timeout=timeout,
        )
        return watching.last_of(found)

    def roll_back(self, release: str, *, reason: str = "") -> Record:
        """Let every call go where it went before, within half a second; also after a promotion."""
        return self._decide(release, "rollback", reason=reason)

    def promote(self, release: str, *, arm: str = "", reason: str = "") -> Record:
        """Let every call go to an arm for good: the one that the evidence chose, unless `arm` says which."""
        return self._decide(release, "promote", reason=reason, arm=arm)

    def pause(self, release: str) -> Record:
        """Keep the shares and decide nothing."""
        return self._client.send("POST", f"/releases/{segment(release)}/pause")

    def resume(self, release: str) -> Record:
        """Go on deciding."""
        return self._client.send("POST", f"/releases/{segment(release)}/resume")

    def step(self, release: str) -> Record:
        """Go on to a canary's next step without waiting for the evidence."""
        return self._client.send("POST", f"/releases/{segment(release)}/step")

    def _decide(self, release: str, verb: str, **body: str) -> Record:
        return self._client.send("POST", f"/releases/{segment(release)}/{verb}", body)
