"""The model that labels rows: chat completions of this installation's own gateway (the port `datasets.ports.Model`)."""

import http.client
import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import msgspec

from penstock.core.address import own_address
from penstock.core.auth import service as auth
from penstock.core.errors import Upstream
from penstock.core.home import Home
from penstock.core.scope import Actor, Role, system_actor
from penstock.datasets.ports import Reply

KEY_HOURS = 24
_RETRYABLE = frozenset({408, 429, 500, 502, 503, 504})
_ATTEMPTS = 4
_MOST_WAIT_S = 20.0
_TIMEOUT_S = 120.0


class GatewayModel:
    """Asks routes of the gateway with a key of its own, which ends when it is closed.

    So the calls are traced, priced, limited and guarded like any others of the project.
    """

    def __init__(self, home: Home, actor: Actor) -> None:
        self._home = home
        self._url = urlsplit(f"{own_address(home)}/v1")
        self._system = system_actor(actor.scope)
        self._stop = threading.Event()
        with home.begin() as uow:
            self._key, self._secret = auth.create_key(
                uow,
                self._system,
                name=f"labels for {actor.name}"[:200],
                role=Role.GATEWAY,
                expires_in=timedelta(hours=KEY_HOURS),
            )

    def close(self) -> None:
        """Revoke the key."""
        self._stop.set()
        with self._home.begin() as uow:
            auth.revoke_key(uow, self._system, key_id=self._key.id)

    def ask(
        self, model: str, messages: Sequence[Mapping[str, str]], *, temperature: float, max_tokens: int
    ) -> Reply:
        """Return the answer; raises Upstream after 4 attempts, or at once for what trying again cannot mend."""
        body = msgspec.json.encode(
            {"model": model, "messages": messages, "temperature": temperature, "max_tokens": max_tokens}
        )
        for attempt in range(1, _ATTEMPTS + 1):
            status, headers, data = self._post(body)
            if status == 200:
                return _reply(headers, data)
            if status not in _RETRYABLE or attempt == _ATTEMPTS or self._stop.is_set():
                break
            self._stop.wait(min(_MOST_WAIT_S, _seconds(headers.get("retry-after"), 0.5 * 2**attempt)))
        raise Upstream(
            f"The model {model!r} gave no answer: HTTP {status}: {data[:300].decode(errors='replace')}",
            hint="Is the server running, and is there a route of this name? See penstock gateway routes.",
        )

    def _post(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        secure = self._url.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(self._url.hostname or "127.0.0.1", self._url.port, timeout=_TIMEOUT_S)
        headers = {"content-type": "application/json", "authorization": f"Bearer {self._secret}"}
        try:
            connection.request("POST", f"{self._url.path}/chat/completions", body, headers)
            with connection.getresponse() as response:
                found = {name.lower(): value for name, value in response.getheaders()}
                return response.status, found, response.read()
        except (OSError, http.client.HTTPException) as error:
            return 503, {}, f"{type(error).__name__}: {error}".encode()
        finally:
            connection.close()


def _seconds(text: str | None, otherwise: float) -> float:
    try:
        return max(0.0, float(text)) if text else otherwise
    except ValueError:
        return otherwise


def _reply(headers: Mapping[str, str], data: bytes) -> Reply:
    try:
        decoded: Any = msgspec.json.decode(data)
        text = decoded["choices"][0]["message"].get("content") or ""
    except (msgspec.DecodeError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise Upstream("The gateway's answer cannot be read.", hint="See its trace.") from error
    cost = headers.get("x-penstock-cost-usd")
    return Reply(str(text), float(cost) if cost else None)
