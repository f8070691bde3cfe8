"""Sending an alert to a webhook, signed as https://www.standardwebhooks.com says."""

import asyncio
import base64
import hashlib
import hmac

from penstock.core import clock, net
from penstock.core.errors import Upstream
from penstock.gateway.guarding.transport import GuardTransport
from penstock.gateway.upstream.client import UpstreamClient

SECRET_PREFIX = "whsec_"
TIMEOUT_SECONDS = 15.0


def signature(secret: str, alert_id: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`: `v1,` and the HMAC-SHA256 of `id.timestamp.body` in base 64."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = f"{alert_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def send(url: str, secret: str, alert_id: str, body: bytes, *, allow_private: bool) -> None:
    """POST `body`; raises Upstream for an answer other than 2xx, Denied for an address that is not allowed, and
    what the connection raises. Redirects are not followed.
    """
    asyncio.run(_send(url, secret, alert_id, body, allow_private=allow_private))


async def _send(url: str, secret: str, alert_id: str, body: bytes, *, allow_private: bool) -> None:
    now = clock.now_ns() // 1_000_000_000
    headers = {
        "content-type": "application/json",
        "user-agent": "penstock",
        "webhook-id": alert_id,
        "webhook-timestamp": str(now),
        "webhook-signature": signature(secret, alert_id, now, body),
    }
    client = UpstreamClient(
        check_address=lambda address, private: net.check_address(address, allow_private=private)
    )
    try:
        transport = GuardTransport(client)
        status, _ = await transport.post(
            url, body, headers, timeout=TIMEOUT_SECONDS, allow_private=allow_private
        )
    finally:
        await client.close()
    if not 200 <= status < 300:
        raise Upstream(f"The webhook answered with HTTP {status}.", upstream_status=status)
