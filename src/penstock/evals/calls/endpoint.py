"""An OpenAI-compatible endpoint: the gateway, or any server of that form."""

import os
from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.core.errors import Invalid
from penstock.core.settings import CoreSettings
from penstock.core.suggest import did_you_mean
from penstock.evals.calls import chat
from penstock.evals.calls.pacing import Pace
from penstock.evals.calls.sender import Patience, Sender, base_headers
from penstock.evals.model import Output
from penstock.evals.ports import TargetContext
from penstock.traces import service as traces

OPTIONS = (
    "model",
    "base_url",
    "api_key",
    "max_tokens",
    "temperature",
    "stream",
    "timeout_s",
    "retries",
    "patience_s",
    "per_minute",
    "extra",
)


def read_key(value: Any) -> str:
    """Return the key given as a text or as `{env: NAME}`; raises Invalid when the variable is not set."""
    if isinstance(value, Mapping):
        name = str(value.get("env", ""))
        if not os.environ.get(name):
            raise Invalid(
                f"The environment variable {name!r} is not set.", hint="It should hold the API key."
            )
        return os.environ[name]
    return str(value or "")


def check_options(what: str, options: Mapping[str, Any], known: tuple[str, ...] = OPTIONS) -> None:
    """Raise Invalid for an option that is not known."""
    for name in options:
        if name not in known:
            raise Invalid(f"{what} has no option {name!r}.", hint=did_you_mean(name, known))


def patience_of(options: Mapping[str, Any]) -> Patience:
    """Return the patience that options ask for."""
    return Patience(
        timeout_s=float(options.get("timeout_s", 120)),
        retries=int(options.get("retries", 2)),
        overload_s=float(options.get("patience_s", 600)),
    )


class Endpoint:
    """Answers chat messages and embeds texts.

    Options: `model` (public model name), `base_url` (up to `/v1`), `api_key` (a text, or `{env: NAME}`), `max_tokens`
    (256), `temperature` (0), `stream` (false; true measures the time to the first token), `timeout_s` (120),
    `retries` (2), `patience_s` (600: how long an overloaded endpoint is waited for), `per_minute` (calls;
    no limit), `extra` (fields added to every request). Raises Invalid and Denied for options that cannot be.
    """

    def __init__(
        self, options: Mapping[str, Any], context: TargetContext, what: str = "The gateway target"
    ) -> None:
        check_options(what, options)
        if not options.get("model"):
            raise Invalid(f"{what} needs a model.", hint="Name a route of the gateway.")
        core: CoreSettings = context.home.settings.section(CoreSettings)
        with context.home.read() as uow:
            self._own = traces.list_prices(uow, context.actor)
        self.model = str(options["model"])
        self._sender = Sender(
            str(options.get("base_url") or "").rstrip("/"),
            allow_private=core.allow_private_urls,
            patience=patience_of(options),
            pace=Pace(options.get("per_minute")),
            headers=base_headers(read_key(options.get("api_key"))),
        )
        self._stream = bool(options.get("stream", False))
        self._body: dict[str, Any] = {
            "model": self.model,
            "max_tokens": options.get("max_tokens", 256),
            "temperature": options.get("temperature", 0),
            **options.get("extra", {}),
        }
        if self._stream:
            self._body |= {"stream": True, "stream_options": {"include_usage": True}}

    def body(self, messages: Any, **fields: Any) -> dict[str, Any]:
        """Return the request for these messages: all that decides the answer."""
        return {**self._body, "messages": messages, **fields}

    async def chat(self, body: Mapping[str, Any], key: str) -> Output:
        """Return the answer to a request made by `body`; `key` makes a repeated call known to the server."""
        heard = chat.FirstToken if self._stream else None
        reply = await self._sender.post("/chat/completions", msgspec.json.encode(body), key=key, heard=heard)
        return (chat.read_stream if self._stream else chat.read_answer)(reply, self.model, self._own)

    async def embed(self, texts: list[str], key: str) -> Output:
        """Return an output whose `extra["vectors"]` hold one embedding per text."""
        body = msgspec.json.encode({"model": self.model, "input": texts})
        return chat.read_embeddings(
            await self._sender.post("/embeddings", body, key=key), self.model, self._own
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._sender.close()
