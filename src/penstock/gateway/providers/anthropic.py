"""Anthropic's API, natively for Anthropic callers and translated for OpenAI ones."""

from collections.abc import Mapping
from typing import ClassVar

from penstock.gateway.dialects.anthropic import AnthropicDialect
from penstock.gateway.dialects.base import Dialect
from penstock.gateway.dialects.chat_over_messages import ChatOverMessages
from penstock.gateway.dialects.chat_to_messages import DEFAULT_MAX_TOKENS
from penstock.gateway.dialects.counting_over import CountTokens, GeminiCount, for_anthropic
from penstock.gateway.dialects.fronts import fronts
from penstock.gateway.model import Operation
from penstock.gateway.options import check_options, header_lines, key_line
from penstock.gateway.ports import ProviderConfig
from penstock.gateway.upstream.request import Request, split_base_url

DEFAULT_URL = "https://api.anthropic.com"
API_VERSION = "2023-06-01"
COUNTS = (Operation.COUNT_TOKENS, Operation.GEMINI_COUNT)
COMMON_HEADERS = b"content-type: application/json\r\naccept-encoding: identity\r\nuser-agent: penstock\r\n"


class AnthropicProvider:
    """`base_url` with or without `/v1`; the key goes out as `x-api-key`."""

    OPTIONS: ClassVar[Mapping[str, type]] = {
        "headers": dict,
        "version": str,
        "beta": str,
        "max_tokens": int,
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
        self._path = path.removesuffix("/v1")
        extra = {"anthropic-version": options.get("version", API_VERSION)} | options.get("headers", {})
        if options.get("beta"):
            extra["anthropic-beta"] = options["beta"]
        self._headers = (
            b"host: %b\r\n" % self._origin.host_header
            + COMMON_HEADERS
            + key_line("x-api-key", "", config.api_key)
            + header_lines(extra, config.name)
        )
        self._target = f"{self._path}/v1/messages".encode("ascii")
        chat = ChatOverMessages(
            max_tokens=options.get("max_tokens", DEFAULT_MAX_TOKENS),
            drop_params=options.get("drop_params", False),
        )
        self._dialects = fronts(chat) | {
            Operation.MESSAGES: AnthropicDialect(),
            Operation.COUNT_TOKENS: CountTokens(),
            Operation.GEMINI_COUNT: GeminiCount(chat, for_anthropic),
        }

    def dialect(self, operation: Operation) -> Dialect | None:
        """Return the dialect: messages pass through, what else is chat is translated; the API has nothing else."""
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
        target = self._target + b"/count_tokens" if operation in COUNTS else self._target
        return Request(self._origin, target, self._headers, body)

    def probe(self) -> Request | None:
        """Return a request for the list of models."""
        return Request(self._origin, f"{self._path}/v1/models".encode("ascii"), self._headers, b"", b"GET")
