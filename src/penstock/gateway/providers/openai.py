"""Any server that speaks OpenAI's API. `presets` has those with a name of their own."""

import os
from collections.abc import Mapping
from typing import ClassVar

from penstock.core.errors import Invalid
from penstock.gateway.dialects.base import Dialect
from penstock.gateway.dialects.completions_over_chat import CompletionsOverChat
from penstock.gateway.dialects.embeddings import InBase64
from penstock.gateway.dialects.fronts import EMBEDDING
from penstock.gateway.dialects.gemini_embeddings import GeminiOverEmbeddings
from penstock.gateway.dialects.gemini_over_chat import GeminiOverChat
from penstock.gateway.dialects.messages_over_chat import MessagesOverChat
from penstock.gateway.dialects.moderations import ModerationsDialect
from penstock.gateway.dialects.openai import OpenAIDialect
from penstock.gateway.dialects.quirks import Quirked, Quirks
from penstock.gateway.model import Operation
from penstock.gateway.options import check_options, header_lines, key_line
from penstock.gateway.ports import ProviderConfig
from penstock.gateway.upstream.request import Request, split_base_url

OPENAI = b"api.openai.com"
COMMON_HEADERS = b"content-type: application/json\r\naccept-encoding: identity\r\nuser-agent: penstock\r\n"


class OpenAIProvider:
    """`base_url` is what precedes `/chat/completions`; the key goes out as `Authorization: Bearer`."""

    OPTIONS: ClassVar[Mapping[str, type]] = {
        "headers": dict,
        "organization": str,
        "stream_usage": bool,
        "completions": bool,
        "moderations": bool,
        "drop_params": bool,
        "verify_tls": bool,
        "ca_file": str,
        "timeout": float,
    }
    BASE_URL: ClassVar[str] = ""
    """Where it is when `base_url` does not say."""
    KEY_ENV: ClassVar[str] = ""
    """Environment variable with the key when none is configured; it goes to `BASE_URL` alone."""
    QUIRKS: ClassVar[Quirks | None] = None
    TAKES: ClassVar[frozenset[str]] = frozenset()
    """What requests of Anthropic's callers may hold beside OpenAI's members; see `MessagesOverChat`."""
    COMPLETIONS: ClassVar[bool] = True
    """Whether it has the older completions; without, they are carried over chat. The option overrides it."""

    def __init__(self, config: ProviderConfig) -> None:
        """Build from `config`; raises Invalid."""
        options = config.options
        check_options(options, self.OPTIONS, config.name)
        if not (config.base_url or self.BASE_URL):
            raise Invalid(
                f"The provider {config.name!r} needs a base_url.",
                hint="For OpenAI: https://api.openai.com/v1.",
            )
        self._origin, self._path = split_base_url(
            config.base_url or self.BASE_URL,
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
            + self._key_line(config)
            + header_lines(extra, config.name)
        )
        self._dialects = self._made_dialects(config)
        paths = {Operation.MESSAGES: Operation.CHAT, Operation.GENERATE: Operation.CHAT}
        if not self._has_completions(config):
            paths[Operation.COMPLETIONS] = Operation.CHAT
        paths |= dict.fromkeys(EMBEDDING, Operation.EMBEDDINGS)
        self._targets = {
            each: f"{self._path}/{paths.get(each, each)}".encode("ascii") for each in self._dialects
        }

    def _key_line(self, config: ProviderConfig) -> bytes:
        key = config.api_key
        if not key and self.KEY_ENV and config.base_url in ("", self.BASE_URL):
            key = os.environ.get(self.KEY_ENV, "").strip()
        return key_line("authorization", "Bearer ", key)

    def _made_dialects(self, config: ProviderConfig) -> dict[Operation, Dialect]:
        ask_usage = config.options.get("stream_usage", True)
        chat = OpenAIDialect(ask_usage=ask_usage)
        over_chat = CompletionsOverChat(ask_usage=ask_usage)
        made: dict[Operation, Dialect] = {
            Operation.CHAT: chat,
            Operation.COMPLETIONS: chat if self._has_completions(config) else over_chat,
            Operation.EMBEDDINGS: OpenAIDialect(ask_usage=False),
            Operation.MESSAGES: MessagesOverChat(
                extensions=False, takes=self.TAKES, drop_params=config.options.get("drop_params", False)
            ),
            Operation.GENERATE: GeminiOverChat(extensions=False, ask_usage=ask_usage),
            Operation.EMBED_CONTENT: GeminiOverEmbeddings(batch=False),
            Operation.BATCH_EMBED: GeminiOverEmbeddings(batch=True),
        }
        if config.options.get("moderations", self._origin.host_header == OPENAI):
            made[Operation.MODERATIONS] = ModerationsDialect()
        if self.QUIRKS is None:
            return made
        drop = config.options.get("drop_params", False)
        return {each: Quirked(dialect, self.QUIRKS, drop_params=drop) for each, dialect in made.items()}

    def _has_completions(self, config: ProviderConfig) -> bool:
        return bool(config.options.get("completions", self.COMPLETIONS))

    def dialect(self, operation: Operation) -> Dialect | None:
        """Return the dialect: bytes pass through; callers of other families are translated."""
        found = self._dialects.get(operation)
        return (
            InBase64(found, checked=True)
            if found is not None and operation is Operation.EMBEDDINGS
            else found
        )

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
