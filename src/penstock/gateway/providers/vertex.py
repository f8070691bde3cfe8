"""Google's Vertex AI: Gemini models, and Anthropic's with the option publisher = "anthropic".

Addresses: https://cloud.google.com/vertex-ai/generative-ai/docs/reference/rest. Keys: a service account's JSON key
file, an access token, or an API key (https://cloud.google.com/vertex-ai/generative-ai/docs/start/api-keys).
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import quote

from penstock.core.errors import Invalid, Unavailable
from penstock.gateway.dialects.anthropic import AnthropicDialect
from penstock.gateway.dialects.base import Dialect
from penstock.gateway.dialects.chat_over_messages import ChatOverMessages
from penstock.gateway.dialects.chat_to_messages import DEFAULT_MAX_TOKENS
from penstock.gateway.dialects.counting_over import CountTokens, GeminiCount, for_anthropic, for_vertex
from penstock.gateway.dialects.embeddings import InBase64
from penstock.gateway.dialects.fronts import EMBEDDING, embedding_fronts, fronts
from penstock.gateway.dialects.gemini_embeddings import EmbeddingsOverVertex
from penstock.gateway.dialects.on_vertex import OnVertex
from penstock.gateway.model import Operation
from penstock.gateway.options import check_options, header_lines, key_line
from penstock.gateway.ports import ProviderConfig
from penstock.gateway.providers.anthropic import COUNTS
from penstock.gateway.providers.gemini import gemini_dialects, verb_of
from penstock.gateway.providers.google_auth import TokenSource, read_account
from penstock.gateway.upstream.client import Transport
from penstock.gateway.upstream.request import Request, split_base_url

API_VERSION = "v1"
COUNTER = "count-tokens"
"""What stands for the model when Anthropic's tokens are counted: the model itself is in the body."""
LOCATION = "us-central1"
PUBLISHERS = ("google", "anthropic")
KEYS = ("service_account", "token", "api_key")
_COMMON = b"content-type: application/json\r\naccept-encoding: identity\r\nuser-agent: penstock\r\n"
_PLACE = re.compile(r"[a-z0-9][a-z0-9:.-]*")


class VertexProvider:
    """`api_key` is a service account's key file, an access token or an API key; the option `auth` says which.

    Without `auth`, text that starts with `{` is a key file, with `ya29.` an access token, and anything else an API key.
    """

    OPTIONS: ClassVar[Mapping[str, type]] = {
        "project": str,
        "location": str,
        "publisher": str,
        "auth": str,
        "api_version": str,
        "max_tokens": int,
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
        self._auth = self._kind_of_key(config)
        self._tokens: TokenSource | None = None
        project = options.get("project", "")
        if self._auth == "service_account":
            account = read_account(config.api_key, config.name)
            self._tokens = TokenSource(account, name=config.name, allow_private=config.allow_private)
            project = project or account.project_id
        location = self._place(options.get("location", LOCATION), "location")
        host = "aiplatform" if location == "global" else f"{location}-aiplatform"
        if not project and self._auth == "api_key":
            host = "aiplatform"  # express mode: the key knows its project, and there is one address
        self._origin, path = split_base_url(
            config.base_url or f"https://{host}.googleapis.com",
            verify=options.get("verify_tls", True),
            ca_file=options.get("ca_file", ""),
            allow_private=config.allow_private,
        )
        publisher = options.get("publisher", "google")
        if publisher not in PUBLISHERS:
            raise Invalid(f"The option 'publisher' of {config.name!r} is none of {', '.join(PUBLISHERS)}.")
        version = quote(options.get("api_version", API_VERSION), safe="")
        self._version_root = f"{path}/{version}"
        self._root = f"{self._version_root}{self._parent(project, location)}/publishers/{publisher}/models"
        self._anthropic = publisher == "anthropic"
        self._headers = b"host: %b\r\n" % self._origin.host_header + _COMMON
        self._headers += header_lines(options.get("headers", {}), config.name)
        self._key_line = self._static_line(config.api_key)
        self._dialects = self._made_dialects(options)
        self._embeddings = EmbeddingsOverVertex()

    @staticmethod
    def _kind_of_key(config: ProviderConfig) -> str:
        chosen: str = config.options.get("auth", "")
        if chosen and chosen not in KEYS:
            raise Invalid(f"The option 'auth' of {config.name!r} is none of {', '.join(KEYS)}.")
        if chosen or not config.api_key:
            return chosen or "token"
        if config.api_key.lstrip().startswith("{"):
            return "service_account"
        return "token" if config.api_key.startswith("ya29.") else "api_key"

    def _place(self, value: str, option: str) -> str:
        if not _PLACE.fullmatch(value):
            raise Invalid(
                f"The option {option!r} of {self._name!r} is not a name of Google's.",
                hint="Write one like us-central1.",
            )
        return value

    def _parent(self, project: str, location: str) -> str:
        if project:
            return f"/projects/{self._place(project, 'project')}/locations/{location}"
        if self._auth == "api_key":
            return ""
        raise Invalid(
            f"The provider {self._name!r} needs the option project.",
            hint="It is the project's id in Google Cloud.",
        )

    def _static_line(self, key: str) -> bytes:
        if self._auth == "api_key":
            return key_line("x-goog-api-key", "", key)
        return b"" if self._tokens is not None else key_line("authorization", "Bearer ", key)

    def _made_dialects(self, options: Mapping[str, Any]) -> dict[Operation, Dialect]:
        drop = options.get("drop_params", False)
        if not self._anthropic:
            return gemini_dialects(drop_params=drop, count=for_vertex) | embedding_fronts(
                EmbeddingsOverVertex()
            )
        limit = options.get("max_tokens", DEFAULT_MAX_TOKENS)
        plain = ChatOverMessages(max_tokens=limit, drop_params=drop)
        return fronts(OnVertex(plain), drop_params=drop) | {
            Operation.MESSAGES: OnVertex(AnthropicDialect()),
            Operation.COUNT_TOKENS: OnVertex(CountTokens(), named=True),
            Operation.GEMINI_COUNT: OnVertex(GeminiCount(plain, for_anthropic), named=True),
        }

    def dialect(self, operation: Operation) -> Dialect | None:
        """Return the dialect: callers of the publisher's own family pass through, all others are translated."""
        if operation is Operation.EMBEDDINGS and not self._anthropic:
            return InBase64(self._embeddings)
        return self._dialects.get(operation)

    async def prepare(self, client: Transport) -> None:
        """Have a good access token; raises Upstream when Google gives none."""
        if self._tokens is not None:
            await self._tokens.prepare(client)

    def _signed(self) -> bytes:
        if self._tokens is None:
            return self._headers + self._key_line
        token = self._tokens.token
        if not token:
            raise Unavailable(f"The provider {self._name!r} has no access token yet.", retry_after=1)
        return self._headers + b"authorization: Bearer %b\r\n" % token.encode("ascii")

    def request(self, operation: Operation, model: str, body: bytes, *, stream: bool = False) -> Request:
        """Return the request; model and manner are in the path. Raises Unavailable without an access token."""
        if self._anthropic:
            verb = "streamRawPredict" if stream else "rawPredict"
            model = COUNTER if operation in COUNTS else model
        else:
            verb = "predict" if operation in EMBEDDING else verb_of(operation, stream=stream)
        target = f"{self._root}/{quote(model, safe='@')}:{verb}"
        return Request(self._origin, target.encode("ascii"), self._signed(), body)

    def probe(self) -> Request | None:
        """Return a request for the list of Google's models; raises Unavailable before `prepare`."""
        target = f"{self._version_root.removesuffix('/v1')}/v1beta1/publishers/google/models?pageSize=1"
        return Request(self._origin, target.encode("ascii"), self._signed(), b"", b"GET")
