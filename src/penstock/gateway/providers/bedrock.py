"""AWS Bedrock: the Converse API for chat, InvokeModel for embeddings.

Addresses: https://docs.aws.amazon.com/general/latest/gr/bedrock.html. Keys: AWS's own, which sign every request, or a
Bedrock API key: https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html.
"""

import os
import re
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from penstock.core import clock
from penstock.core.errors import Invalid, Unavailable
from penstock.gateway.dialects.base import Dialect
from penstock.gateway.dialects.chat_over_converse import ChatOverConverse
from penstock.gateway.dialects.counting_over import counting, for_bedrock
from penstock.gateway.dialects.embeddings import InBase64
from penstock.gateway.dialects.embeddings_over_cohere import INPUT_TYPE, EmbeddingsOverBedrock
from penstock.gateway.dialects.fronts import EMBEDDING, embedding_fronts, fronts
from penstock.gateway.model import Operation
from penstock.gateway.options import check_options, header_lines, key_line
from penstock.gateway.ports import ProviderConfig
from penstock.gateway.providers.anthropic import COUNTS
from penstock.gateway.providers.sigv4 import Credentials, Place, signed_headers
from penstock.gateway.upstream.request import Origin, Request, split_base_url

SERVICE = "bedrock"
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d+")
_COMMON = b"accept-encoding: identity\r\nuser-agent: penstock\r\n"
_JSON = "application/json"


class BedrockProvider:
    """`api_key` is the secret access key when the option `access_key_id` is set, else a Bedrock API key.

    Without `api_key` the server's environment is asked, as AWS's own tools do, but only for AWS's own addresses.
    """

    OPTIONS: ClassVar[Mapping[str, type]] = {
        "region": str,
        "access_key_id": str,
        "session_token": str,
        "guardrail": dict,
        "count_tokens": bool,
        "input_type": str,
        "headers": dict,
        "drop_params": bool,
        "verify_tls": bool,
        "ca_file": str,
        "timeout": float,
    }

    def __init__(self, config: ProviderConfig) -> None:
        """Build from `config`; raises Invalid."""
        options = config.options
        check_options(options, self.OPTIONS, config.name)
        self._name = config.name
        self._own_address = not config.base_url
        region = self._region(config)
        self._place = Place(region, SERVICE)
        self._tls = {"verify": options.get("verify_tls", True), "ca_file": options.get("ca_file", "")}
        self._origin, self._path = split_base_url(
            config.base_url or f"https://bedrock-runtime.{region}.amazonaws.com",
            **self._tls,
            allow_private=config.allow_private,
        )
        self._extra = header_lines(options.get("headers", {}), config.name)
        self._credentials, self._bearer = self._keys(config)
        self._bearer_line = key_line("authorization", "Bearer ", self._bearer)
        guardrail = {"guardrailConfig": dict(options["guardrail"])} if options.get("guardrail") else {}
        drop = options.get("drop_params", False)
        chat = ChatOverConverse(defaults=guardrail, drop_params=drop)
        self._embeddings = EmbeddingsOverBedrock(input_type=options.get("input_type", INPUT_TYPE))
        self._dialects = fronts(chat, drop_params=drop) | embedding_fronts(self._embeddings)
        if options.get("count_tokens", False):
            self._dialects |= counting(chat, for_bedrock)

    @staticmethod
    def _region(config: ProviderConfig) -> str:
        environment = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""
        region = str(config.options.get("region") or environment)
        if not _REGION.fullmatch(region):
            raise Invalid(
                f"The provider {config.name!r} needs the option region.", hint="Write one like us-east-1."
            )
        return region

    def _keys(self, config: ProviderConfig) -> tuple[Credentials | None, str]:
        """Return (what signs, Bedrock API key): at most one of them is there."""
        options, environment = config.options, os.environ if self._own_address else {}
        identity = options.get("access_key_id", "")
        if identity and config.api_key:
            return self._checked(Credentials(identity, config.api_key, options.get("session_token", ""))), ""
        if identity:
            return None, ""
        if config.api_key:
            return None, config.api_key
        if bearer := environment.get("AWS_BEARER_TOKEN_BEDROCK", "").strip():
            return None, bearer
        found = Credentials(
            environment.get("AWS_ACCESS_KEY_ID", "").strip(),
            environment.get("AWS_SECRET_ACCESS_KEY", "").strip(),
            environment.get("AWS_SESSION_TOKEN", "").strip(),
        )
        return (self._checked(found), "") if found.access_key and found.secret_key else (None, "")

    def _checked(self, credentials: Credentials) -> Credentials:
        for each in credentials:
            if not each.isascii() or (each and not each.isprintable()):
                raise Invalid(
                    f"The AWS keys of {self._name!r} hold characters that cannot be sent.",
                    hint="Were they copied whole?",
                )
        return credentials

    def dialect(self, operation: Operation) -> Dialect | None:
        """Return the dialect for chat, in any caller's shape, and for embeddings."""
        if operation is Operation.EMBEDDINGS:
            return InBase64(self._embeddings)
        return self._dialects.get(operation)

    def request(self, operation: Operation, model: str, body: bytes, *, stream: bool = False) -> Request:
        """Return the request, signed now; raises Unavailable when there are no keys."""
        verb = "converse-stream" if stream else "converse"
        if operation in EMBEDDING:
            verb = "invoke"
        elif operation in COUNTS:
            verb = "count-tokens"
        target = f"{self._path}/model/{quote(model, safe='')}/{verb}"
        return Request(self._origin, target.encode("ascii"), self._headers(self._origin, target, body), body)

    def _headers(self, origin: Origin, target: str, body: bytes, method: str = "POST") -> bytes:
        host = origin.host_header.decode("ascii")
        if self._bearer:
            start = f"host: {host}\r\ncontent-type: {_JSON}\r\n".encode("ascii")
            return start + _COMMON + self._bearer_line + self._extra
        if self._credentials is None:
            raise Unavailable(
                f"The provider {self._name!r} has no AWS keys.",
                hint="Set access_key_id and api_key, or the AWS_ variables where the server runs.",
            )
        lines: dict[str, Any] = signed_headers(
            self._credentials,
            self._place,
            method=method,
            target=target,
            headers={"host": host, "content-type": _JSON},
            body=body,
            at=clock.now(),
        )
        made = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return made.encode("ascii") + _COMMON + self._extra

    def probe(self) -> Request | None:
        """Return a request for the list of models: another address has it, so only for AWS's own."""
        if not self._own_address:
            return None
        url = f"https://bedrock.{self._place.region}.amazonaws.com"
        origin, _ = split_base_url(url, **self._tls)
        target = "/foundation-models"
        return Request(origin, target.encode(), self._headers(origin, target, b"", "GET"), b"", b"GET")
