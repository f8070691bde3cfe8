"""Amazon's Signature Version 4.

Steps: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote

ALGORITHM = "AWS4-HMAC-SHA256"


class Credentials(NamedTuple):
    """Who signs; `token` comes with temporary credentials."""

    access_key: str
    secret_key: str
    token: str = ""


class Place(NamedTuple):
    """What a signature is good for."""

    region: str
    service: str


def signed_headers(
    credentials: Credentials,
    place: Place,
    *,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes,
    at: datetime,
) -> dict[str, str]:
    """Return `headers` (which must hold `host`) with `x-amz-date`, the session token if any, and `authorization`.

    `target` is the path and query as they go onto the request line; `at` is an aware time in UTC. Everything in
    `headers` is signed, so leave out what something on the way may change.
    """
    stamp = at.strftime("%Y%m%dT%H%M%SZ")
    given = {name.lower(): " ".join(value.split()) for name, value in headers.items()} | {"x-amz-date": stamp}
    if credentials.token:
        given["x-amz-security-token"] = credentials.token
    names = ";".join(sorted(given))
    request = canonical_request(method, target, given, body)
    scope = f"{stamp[:8]}/{place.region}/{place.service}/aws4_request"
    digest = hashlib.sha256(request.encode()).hexdigest()
    key = _key(credentials.secret_key, stamp[:8], place)
    signature = _hmac(key, f"{ALGORITHM}\n{stamp}\n{scope}\n{digest}").hex()
    given["authorization"] = (
        f"{ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
    )
    return given


def canonical_request(method: str, target: str, headers: Mapping[str, str], body: bytes) -> str:
    """Return the text whose digest is signed; `headers` have lower-case names and trimmed values."""
    path, _, query = target.partition("?")
    names = sorted(headers)
    lines = "".join(f"{name}:{headers[name]}\n" for name in names)
    # The path on the request line is encoded once; all services but S3 sign it encoded once more.
    parts = [
        method,
        quote(path or "/", safe="/-_.~"),
        "&".join(sorted(part if "=" in part else f"{part}=" for part in query.split("&") if part)),
        lines,
        ";".join(names),
        hashlib.sha256(body).hexdigest(),
    ]
    return "\n".join(parts)


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


@lru_cache(maxsize=64)
def _key(secret: str, day: str, place: Place) -> bytes:
    """Return the key of a day: it is the same for all requests of that day, so it is kept."""
    key = _hmac(f"AWS4{secret}".encode(), day)
    for part in (place.region, place.service, "aws4_request"):
        key = _hmac(key, part)
    return key
