"""Any server that speaks OpenAI's API: OpenAI, vLLM, llama.cpp, Ollama, Mistral, Groq, Together, DeepSeek, …"""

from collections.abc import Mapping
from typing import ClassVar

from penstock.core.errors import Invalid
from penstock.gateway.dialects.base import Dialect
from penstock.gateway.dialects.messages_over_chat import MessagesOverChat
from penstock.gateway.dialects.openai import OpenAIDialect
from penstock.gateway.model import Operation
from penstock.gateway.options import check_options, header_lines, key_line
from penstock.gateway.ports import ProviderConfig
from penstock.gateway.upstream.request import Request, split_base_url

COMMON_HEADERS = b"content-type: application/json\r\naccept-encoding: identity\r\nuser-agent: penstock\r\n"


class OpenAIProvider:
    """`base_url` is what precedes `/chat/completions`; the key goes out as `Authorization: Bearer`."""

    OPTIONS: ClassVar[Mapping[str, type]] = {
        "headers": dict,
        "organization": str,
        "stream_usage": bool,
        "verify_tls": bool,
        "ca_file": str,
        "timeout": float,
    }

    def __init__(self, config: ProviderConfig) -> None:
        """Build from `config`; raises Invalid."""
        options = config.options
        check_options(options, self.OPTIONS, config.name)
        if not config.base_url:
            raise Invalid(
                f"The provider {config.name!r} needs a base_url.",
                hint="For OpenAI: https://api.openai.com/v1.",
            )
        self._origin, self._path = split_base_url(
            config.base_url,
            verify=options.get("verify_tls", True),
            ca_file=options.get("ca_file", ""),
            allow_private=config.allow_private,
        )
        extra = dict(options.get("headers", {}))
        if options.get("organization"):
            extra["openai-organization"] = options["organization"]
        self._headers = (
            b"host: %b\r\n" % self._origin.host_header
            + COMMON_HEADERS
            + key_line("authorization", "Bearer ", config.api_key)
            + header_lines(extra, config.name)
        )
        chat = OpenAIDialect(ask_usage=options.get("stream_usage", True))
        plain = OpenAIDialect(ask_usage=False)
        self._dialects: dict[Operation, Dialect] = {
            Operation.CHAT: chat,
            Operation.COMPLETIONS: chat,
            Operation.EMBEDDINGS: plain,
            Operation.MESSAGES: MessagesOverChat(),
        }
        paths = {Operation.MESSAGES: Operation.CHAT}
        self._targets = {
            each: f"{self._path}/{paths.get(each, each)}".encode("ascii") for each in self._dialects
        }

    def dialect(self, operation: Operation) -> Dialect | None:
        """Return the dialect: bytes pass through; Anthropic callers are translated."""
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
        return Request(self._origin, self._targets[operation], self._headers, body)

    def probe(self) -> Request | None:
        """Return a request for the list of models."""
        return Request(self._origin, f"{self._path}/models".encode("ascii"), self._headers, b"", b"GET")
