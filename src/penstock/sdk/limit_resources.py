"""The groups of a `Client` for rate limits, budgets and their alerts."""

from collections.abc import Iterator
from typing import Any

from penstock.sdk.resources import Calls, Record, segment


class Limits:
    """Rate limits of keys, users, projects, routes and the tenant."""

    def __init__(self, client: Calls) -> None:
        self._client = client

    def list(self) -> Iterator[Record]:
        """Yield the rate limits that the project sees."""
        return self._client.pages("/limits")

    def put(self, kind: str, subject: str, **figures: int) -> Record:
        """Set the limits of a subject, all at once; without figures they are removed.

        `kind` is key, user, project, tenant or route; the subject `*` gives each its own. Figures:
        `requests_per_minute`, `input_tokens_per_minute`, `output_tokens_per_minute`, `concurrent`.
        """
        return self._client.send("PUT", f"/limits/{segment(kind)}/{segment(subject)}", figures)


class Budgets:
    """Amounts of money that a subject may spend in a period."""

    def __init__(self, client: Calls) -> None:
        self._client = client

    def list(self) -> Iterator[Record]:
        """Yield the budgets with what is spent, reserved and left, in US dollars."""
        return self._client.pages("/budgets")

    def get(self, name: str) -> Record:
        """Return one budget with its state; raises NotFound."""
        return self._client.get(f"/budgets/{segment(name)}")

    def put(self, name: str, usd: float, **fields: Any) -> Record:
        """Make or change a budget of so many US dollars; fields as in `PUT /budgets/{name}`."""
        return self._client.send("PUT", f"/budgets/{segment(name)}", {"usd": usd, **fields})

    def subjects(self, name: str) -> Iterator[Record]:
        """Yield what each subject of a budget has spent in the present period, the largest first."""
        return self._client.pages(f"/budgets/{segment(name)}/subjects")

    def forget(self, name: str, user: str) -> None:
        """Forget what one user has spent of a budget, in every period: the user has all of it again."""
        self._client.send("DELETE", f"/budgets/{segment(name)}/subjects/{segment(user)}")

    def delete(self, name: str) -> None:
        """Delete a budget and what was counted for it."""
        self._client.send("DELETE", f"/budgets/{segment(name)}")


class Alerts:
    """What budgets told, and the webhook it is sent to."""

    def __init__(self, client: Calls) -> None:
        self._client = client

    def list(self, limit: int = 50) -> Iterator[Record]:
        """Yield alerts, the newest first, asked for `limit` at a time (200 at most)."""
        return self._client.pages("/alerts", limit=limit)

    def webhook(self) -> Record:
        """Return where the project's alerts are sent; `url` is None when nowhere."""
        return self._client.get("/alerts/webhook")

    def put_webhook(self, url: str) -> Record:
        """Send alerts there from now on; `secret` in the answer, which signs them, is shown this once."""
        return self._client.send("PUT", "/alerts/webhook", {"url": url})

    def try_webhook(self) -> Record:
        """Send a trial alert now; raises what the webhook answered."""
        return self._client.send("POST", "/alerts/webhook/trial")

    def delete_webhook(self) -> None:
        """Send alerts nowhere."""
        self._client.send("DELETE", "/alerts/webhook")
