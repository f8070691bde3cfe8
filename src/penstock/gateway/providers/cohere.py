"""Cohere's API (v2): chat and embeddings."""

from collections.abc import Mapping
from typing import ClassVar

from penstock.gateway.dialects.base import Dialect
from penstock.gateway.dialects.chat_over_cohere import ChatOverCohere
from penstock.gateway.dialects.embeddings import InBase64
from penstock.gateway.dialects.embeddings_over_cohere import INPUT_TYPE, EmbeddingsOverCohere
from penstock.gateway.dialects.fronts import EMBEDDING, embedding_fronts, fronts
from penstock.gateway.model import Operation
from penstock.gateway.options import check_options, header_lines, key_line
from penstock.gateway.ports import ProviderConfig
from penstock.gateway.upstream.request import Request, split_base_url

DEFAULT_URL = "https://api.cohere.com"
COMMON_HEADERS = b"content-type: application/json\r\naccept-encoding: identity\r\nuser-agent: penstock\r\n"


class CohereProvider:
    """`base_url` with or without `/v2`; the key goes out as `Authorization: Bearer`."""

    OPTIONS: ClassVar[Mapping[str, type]] = {
        "headers": dict,
        "input_type": str,
        "drop_params": bool,
        "verify_tls": bool,
        "ca_file": str,
        "timeout": float,
    }

    def __init__(self, config: ProviderConfig) -> None:
        """Build from `config`; raises Invalid."""
        options = config.options
        check_options(options, self.OPTIONS, config.name)
        self._origin, path = split_base_url(
            config.base_url or DEFAULT_URL,
            verify=options.get("verify_tls", True),
            ca_file=options.get("ca_file", ""),
            allow_private=config.allow_private,
        )
        self._path = path.removesuffix("/v2")
        self._headers = (
            b"host: %b\r\n" % self._origin.host_header
            + COMMON_HEADERS
            + key_line("authorization", "Bearer ", config.api_key)
            + header_lines(options.get("headers", {}), config.name)
        )
        drop = options.get("drop_params", False)
        chat = ChatOverCohere(drop_params=drop)
        self._embeddings = EmbeddingsOverCohere(input_type=options.get("input_type", INPUT_TYPE))
        self._dialects = fronts(chat, drop_params=drop) | embedding_fronts(self._embeddings)

    def dialect(self, operation: Operation) -> Dialect | None:
        """Return the dialect for chat, in any caller's shape, and for embeddings."""
        if operation is Operation.EMBEDDINGS:
            return InBase64(self._embeddings)
        return self._dialects.get(operation)

    def request(
        self,
        operation: Operation,
        model: str,  # noqa: ARG002 - it is in the body
        body: bytes,
        *,
        stream: bool = False,  # noqa: ARG002 - so is this
    ) -> Request:
        """Return the request; the model is in the body."""
        verb = "embed" if operation in EMBEDDING else "chat"
        return Request(self._origin, f"{self._path}/v2/{verb}".encode("ascii"), self._headers, body)

    def probe(self) -> Request | None:
        """Return a request for the list of models."""
        return Request(self._origin, f"{self._path}/v1/models".encode("ascii"), self._headers, b"", b"GET")
