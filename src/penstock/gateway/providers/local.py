"""Models deployed on this machine: the model is a deployment's name, its live addresses come from serving."""

from collections.abc import Iterator, Mapping
from itertools import cycle
from typing import ClassVar

from penstock.core.errors import Unavailable
from penstock.gateway.dialects.base import Dialect
from penstock.gateway.model import Operation
from penstock.gateway.options import check_options
from penstock.gateway.ports import Asleep, ProviderConfig
from penstock.gateway.providers.openai import OpenAIProvider
from penstock.gateway.upstream.request import Request


class LocalProvider:
    """Takes the live replicas of a deployment in turn; each is an OpenAI-compatible server on loopback."""

    OPTIONS: ClassVar[Mapping[str, type]] = {"timeout": float}

    def __init__(self, config: ProviderConfig) -> None:
        """Build from `config`; raises Invalid for an endpoint that is not a URL."""
        check_options(config.options, self.OPTIONS, config.name)
        self._patience = config.patience
        self._replicas: dict[str, Iterator[OpenAIProvider]] = {}
        for deployment, urls in config.endpoints.items():
            made = [OpenAIProvider(ProviderConfig(name=deployment, base_url=self._base(url))) for url in urls]
            if made:
                self._replicas[deployment] = cycle(made)
        self._any = OpenAIProvider(ProviderConfig(name=config.name, base_url="http://127.0.0.1/v1"))

    @staticmethod
    def _base(url: str) -> str:
        trimmed = url.rstrip("/")
        return trimmed if trimmed.endswith("/v1") else f"{trimmed}/v1"

    def dialect(self, operation: Operation) -> Dialect | None:
        """Return the dialect of OpenAI-compatible servers."""
        return self._any.dialect(operation)

    def request(self, operation: Operation, model: str, body: bytes, *, stream: bool = False) -> Request:
        """Return the request for the next replica; raises Unavailable when none is ready, Asleep when one will be."""
        replicas = self._replicas.get(model)
        if replicas is None:
            patience = self._patience.get(model, 0.0)
            if patience:
                raise Asleep(model, patience)
            raise Unavailable(
                f"The deployment {model!r} has no replica that is ready.",
                hint="See `penstock deploy list`.",
                retry_after=2,
            )
        return next(replicas).request(operation, model, body, stream=stream)

    def probe(self) -> Request | None:
        """Return None: serving checks its replicas itself."""
        return None
