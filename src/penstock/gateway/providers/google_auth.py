"""Access tokens of a Google service account: a signed JWT, exchanged for a token that lasts an hour.

Source: https://developers.google.com/identity/protocols/oauth2/service-account#httprest (RFC 7523).
"""

import asyncio
import base64
from typing import Any
from urllib.parse import urlencode

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from penstock.core import clock, log
from penstock.core.errors import Invalid, PenstockError, Upstream
from penstock.gateway.upstream.client import Transport
from penstock.gateway.upstream.request import Request, Timeouts, split_base_url

_log = log.get("gateway")
TOKEN_URI = "https://oauth2.googleapis.com/token"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LIFETIME_SECONDS = 3600
EARLY_SECONDS = 300
"""A token is replaced so long before it expires."""
RETRY_SECONDS = 30
"""After a failure the token that is still good is used so long before asking again."""
MAX_ANSWER = 64 * 1024
TIMEOUTS = Timeouts(connect=5, first_byte=15, idle=15)
_encode = msgspec.json.Encoder().encode


class ServiceAccount(msgspec.Struct):
    """The members of a service account's key file that matter here."""

    client_email: str
    private_key: str
    private_key_id: str = ""
    token_uri: str = TOKEN_URI
    project_id: str = ""
    type: str = "service_account"


class _Token(msgspec.Struct):
    access_token: str
    expires_in: float = LIFETIME_SECONDS


_account = msgspec.json.Decoder(ServiceAccount)
_token = msgspec.json.Decoder(_Token)


def read_account(text: str, name: str) -> ServiceAccount:
    """Return the service account in a key file's text; raises Invalid for the provider `name`."""
    try:
        found = _account.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # The parser's own words might quote the key.
        raise Invalid(
            f"The api_key of {name!r} is not the JSON key file of a service account.",
            hint="It needs at least client_email and private_key.",
        ) from error
    if found.type != "service_account":
        raise Invalid(
            f"The api_key of {name!r} is a key file of the type {found.type!r}.",
            hint="Only keys of service accounts are supported.",
        )
    return found


class TokenSource:
    """Fetches and keeps the token of one service account. `line` is the header for requests."""

    def __init__(self, account: ServiceAccount, *, name: str, allow_private: bool) -> None:
        """Check the account; raises Invalid for a key or a token_uri that cannot be used."""
        self._account = account
        self._name = name
        self._key = self._read_key()
        origin, path = split_base_url(account.token_uri, allow_private=allow_private)
        self._target = Request(origin, path.encode("ascii"), b"")
        self._token = ""
        self._expires = 0.0
        self._renew_at = 0.0
        self._lock: asyncio.Lock | None = None

    def _read_key(self) -> rsa.RSAPrivateKey:
        try:
            key = serialization.load_pem_private_key(self._account.private_key.encode(), None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise Invalid(
                f"The private_key in the api_key of {self._name!r} is not a key in PEM.",
                hint="Paste the key file as it was downloaded.",
            ) from error
        if not isinstance(key, rsa.RSAPrivateKey):
            raise Invalid(f"The private_key in the api_key of {self._name!r} is not an RSA key.")
        return key

    @property
    def token(self) -> str:
        """The token, or nothing while there is none that is good."""
        return self._token if clock.monotonic() < self._expires else ""

    async def prepare(self, client: Transport) -> None:
        """Have a good token; raises Upstream when none can be had. Costs nothing while there is one."""
        if clock.monotonic() < self._renew_at:
            return
        if self._lock is None:
            self._lock = asyncio.Lock()
        async with self._lock:
            if clock.monotonic() < self._renew_at:
                return
            try:
                await self._fetch(client)
            except PenstockError as error:
                if not self.token:
                    raise
                self._renew_at = clock.monotonic() + RETRY_SECONDS
                _log.warning("the token of %s could not be renewed: %s", self._name, error)

    async def _fetch(self, client: Transport) -> None:
        form = {"grant_type": GRANT, "assertion": self.assertion(clock.now_ns() // 1_000_000_000)}
        body = urlencode(form).encode("ascii")
        headers = (
            b"host: %b\r\ncontent-type: application/x-www-form-urlencoded\r\n"
            b"accept-encoding: identity\r\nuser-agent: penstock\r\n" % self._target.origin.host_header
        )
        asked = clock.monotonic()
        response = await client.send(self._target._replace(headers=headers, body=body), TIMEOUTS)
        try:
            answer = await response.read(MAX_ANSWER)
        finally:
            response.close()
        if response.status != 200:
            raise Upstream(
                f"Google gave the provider {self._name!r} no access token: {_reason(answer, response.status)}",
                upstream_status=401,
                hint="An administrator must check the service account.",
            )
        try:
            found = _token.decode(answer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise Upstream(f"Google's answer to {self._name!r} holds no access token.") from error
        if not found.access_token.isascii() or not found.access_token.isprintable():
            raise Upstream(f"The access token for {self._name!r} holds characters that cannot be sent.")
        self._token = found.access_token
        self._expires = asked + found.expires_in
        self._renew_at = asked + max(found.expires_in - EARLY_SECONDS, found.expires_in / 2)

    def assertion(self, now: int) -> str:
        """Return the signed JWT for a token asked for at `now` (seconds since the epoch)."""
        account = self._account
        header = {"alg": "RS256", "typ": "JWT"}
        if account.private_key_id:
            header["kid"] = account.private_key_id
        claims: dict[str, Any] = {
            "iss": account.client_email,
            "scope": SCOPE,
            "aud": account.token_uri,
            "iat": now,
            "exp": now + LIFETIME_SECONDS,
        }
        signed = b".".join(_base64(_encode(each)) for each in (header, claims))
        signature = self._key.sign(signed, padding.PKCS1v15(), hashes.SHA256())
        return (signed + b"." + _base64(signature)).decode("ascii")


def _base64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _reason(body: bytes, status: int) -> str:
    try:
        found: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found = None
    if isinstance(found, dict) and found.get("error"):
        return f"{found['error']}: {found.get('error_description') or status}"
    return f"it answered {status}."
