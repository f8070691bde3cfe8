"""Azure OpenAI: OpenAI's API, found elsewhere and opened with another header.

The v1 API: https://learn.microsoft.com/en-us/azure/foundry/openai/api-version-lifecycle. Dated versions name the
deployment in the path: https://learn.microsoft.com/en-us/azure/ai-services/openai/reference.
"""

import re
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import quote

from penstock.core.errors import Invalid
from penstock.gateway.dialects.quirks import Quirks
from penstock.gateway.model import Operation
from penstock.gateway.options import key_line
from penstock.gateway.ports import ProviderConfig
from penstock.gateway.providers.openai import OpenAIProvider
from penstock.gateway.upstream.request import Request

_DATED = re.compile(r"\d{4}-\d\d-\d\d(-preview)?")
_V1 = ("", "preview", "latest", "v1")


class AzureProvider(OpenAIProvider):
    """`base_url` is the resource's address; a target's model is the deployment's name.

    Without the option `api_version` the v1 API is used; a dated version means the older paths.
    """

    OPTIONS: ClassVar[Mapping[str, type]] = {
        **OpenAIProvider.OPTIONS,
        "api_version": str,
        "entra": bool,
    }
    QUIRKS: ClassVar[Quirks | None] = Quirks(unnamed=True)
    """The first chunk, about the prompt's filters, names no model."""

    def __init__(self, config: ProviderConfig) -> None:
        """Build from `config`; raises Invalid."""
        super().__init__(config)
        if not config.base_url:
            raise Invalid(
                f"The provider {config.name!r} needs a base_url.",
                hint="It is the address of your resource, like https://NAME.openai.azure.com.",
            )
        version = config.options.get("api_version", "")
        self._dated = bool(_DATED.fullmatch(version))
        if not self._dated and version not in _V1:
            raise Invalid(
                f"The option 'api_version' of {config.name!r} is neither a date nor one of the v1 API's.",
                hint="Leave it out for the v1 API, or write one like 2024-10-21.",
            )
        self._root = self._path.removesuffix("/v1").removesuffix("/openai")
        self._query = f"?api-version={version}" if version not in ("", "v1") else ""
        start, query = f"{self._root}/openai/v1".encode("ascii"), self._query.encode("ascii")
        self._targets = {
            each: start + target[len(self._path) :] + query for each, target in self._targets.items()
        }

    def _native_responses(self, config: ProviderConfig) -> bool:
        """Return whether the Responses API is there: in the v1 API it is, of dated versions only some have it."""
        return not _DATED.fullmatch(config.options.get("api_version", ""))

    def _key_line(self, config: ProviderConfig) -> bytes:
        if config.options.get("entra", False):
            return key_line("authorization", "Bearer ", config.api_key)
        return key_line("api-key", "", config.api_key)

    def request(self, operation: Operation, model: str, body: bytes, *, stream: bool = False) -> Request:
        """Return the request; with a dated version the deployment is in the path."""
        if not self._dated:
            return super().request(operation, model, body, stream=stream)
        if operation is Operation.RESPONSES and self._has_responses:  # the deployment is in the body alone
            target = f"{self._root}/openai/responses".encode("ascii") + self._query.encode("ascii")
            return Request(self._origin, target, self._headers, body)
        path = self._targets[operation].partition(b"/openai/v1/")[2]
        start = f"{self._root}/openai/deployments/{quote(model, safe='')}/".encode("ascii")
        return Request(self._origin, start + path, self._headers, body)

    def probe(self) -> Request | None:
        """Return a request for the list of models."""
        middle = "openai" if self._dated else "openai/v1"
        target = f"{self._root}/{middle}/models{self._query}".encode("ascii")
        return Request(self._origin, target, self._headers, b"", b"GET")
