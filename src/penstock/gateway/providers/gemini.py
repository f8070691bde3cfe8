"""Google's Gemini API, natively for Gemini callers and translated for all others.

Addresses and verbs: https://ai.google.dev/api/all-methods.
"""

import os
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import quote

from penstock.gateway.dialects.base import Dialect
from penstock.gateway.dialects.chat_over_gemini import ChatOverGemini
from penstock.gateway.dialects.counting_over import MessagesCount, Wrap, for_gemini
from penstock.gateway.dialects.embeddings import InBase64
from penstock.gateway.dialects.fronts import EMBEDDING, fronts
from penstock.gateway.dialects.gemini import GeminiDialect
from penstock.gateway.dialects.gemini_embeddings import EmbeddingsOverGemini
from penstock.gateway.model import Operation
from penstock.gateway.options import check_options, header_lines, key_line
from penstock.gateway.ports import ProviderConfig
from penstock.gateway.upstream.request import Request, split_base_url

DEFAULT_URL = "https://generativelanguage.googleapis.com"
API_VERSION = "v1beta"
"""The version that has every feature; `v1` lacks tools and system instructions of older models."""
COMMON_HEADERS = b"content-type: application/json\r\naccept-encoding: identity\r\nuser-agent: penstock\r\n"
KEY_ENV = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
VERBS = {
    Operation.GEMINI_COUNT: "countTokens",
    Operation.COUNT_TOKENS: "countTokens",
    Operation.EMBED_CONTENT: "embedContent",
    Operation.BATCH_EMBED: "batchEmbedContents",
    Operation.EMBEDDINGS: "batchEmbedContents",
}
"""Verb of what does not generate."""


def verb_of(operation: Operation, *, stream: bool) -> str:
    """Return the verb of an operation; streams are asked for as server-sent events."""
    return VERBS.get(operation) or ("streamGenerateContent?alt=sse" if stream else "generateContent")


def gemini_dialects(*, drop_params: bool, count: Wrap) -> dict[Operation, Dialect]:
    """Return how all but OpenAI's embeddings is carried to a Gemini model; `count` makes the request for a count."""
    native = GeminiDialect()
    chat = ChatOverGemini(drop_params=drop_params)
    return fronts(chat, drop_params=drop_params) | {
        Operation.COUNT_TOKENS: MessagesCount(chat, count),
        Operation.GENERATE: native,
        Operation.GEMINI_COUNT: native,
    }


class GeminiProvider:
    """`base_url` with or without the version; the key goes out as `x-goog-api-key`.

    Without `api_key` the server's environment is asked, as Google's own clients do, but only for Google's own address.
    """

    OPTIONS: ClassVar[Mapping[str, type]] = {
        "headers": dict,
        "api_version": str,
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
        version = options.get("api_version", "")
        for known in ("v1beta", "v1alpha", "v1"):
            if path.endswith(f"/{known}"):
                path = path.removesuffix(f"/{known}")
                version = version or known
        self._root = f"{path}/{quote(version or API_VERSION, safe='')}"
        self._headers = (
            b"host: %b\r\n" % self._origin.host_header
            + COMMON_HEADERS
            + key_line("x-goog-api-key", "", self._key(config))
            + header_lines(options.get("headers", {}), config.name)
        )
        self._dialects = gemini_dialects(drop_params=options.get("drop_params", False), count=for_gemini)
        native = GeminiDialect()
        self._dialects |= {Operation.EMBED_CONTENT: native, Operation.BATCH_EMBED: native}
        self._embeddings = EmbeddingsOverGemini()

    @staticmethod
    def _key(config: ProviderConfig) -> str:
        if config.api_key or config.base_url.rstrip("/") not in ("", DEFAULT_URL):
            return config.api_key
        return next((key for name in KEY_ENV if (key := os.environ.get(name, "").strip())), "")

    def dialect(self, operation: Operation) -> Dialect | None:
        """Return the dialect: Gemini callers pass through, all others are translated."""
        if operation is Operation.EMBEDDINGS:
            return InBase64(self._embeddings)
        return self._dialects.get(operation)

    def request(self, operation: Operation, model: str, body: bytes, *, stream: bool = False) -> Request:
        """Return the request; model and manner are in the path."""
        verb = verb_of(operation, stream=stream and operation not in EMBEDDING)
        target = f"{self._root}/{model_path(model)}:{verb}"
        return Request(self._origin, target.encode("ascii"), self._headers, body)

    def probe(self) -> Request | None:
        """Return a request for the list of models."""
        target = f"{self._root}/models?pageSize=1".encode("ascii")
        return Request(self._origin, target, self._headers, b"", b"GET")


def model_path(model: str) -> str:
    """Return a model's place in the path: `models/…`, or `tunedModels/…` for one that says so."""
    for kind in ("models", "tunedModels"):
        if model.startswith(f"{kind}/"):
            return f"{kind}/{quote(model.removeprefix(f'{kind}/'), safe='')}"
    return f"models/{quote(model, safe='')}"
