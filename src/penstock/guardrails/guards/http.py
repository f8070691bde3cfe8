"""A guard of your own behind HTTP.

It is sent `{"text", "stage", "route", "key_id", "user"}` and answers
`{"action": "allow"|"modify"|"block"|"flag", "text", "rule", "score"}`; anything else counts as a failure (`on_error`).
"""

import os
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import msgspec

from penstock.core import net
from penstock.core.errors import Invalid, Unavailable
from penstock.guardrails.model import About, Action, Stage
from penstock.guardrails.options import Options
from penstock.guardrails.ports import Reply, Setting, Transport


class _Reply(msgspec.Struct):
    action: Literal["allow", "modify", "block", "flag"]
    text: str | None = None
    rule: str = "http"
    score: float = 1.0


_reply = msgspec.json.Decoder(_Reply)
_ACTIONS = {"allow": None, "modify": Action.MASK, "block": Action.BLOCK, "flag": Action.FLAG}


class HttpGuard:
    """Options: `url`, `timeout` (seconds, 5), `token_env` (variable with a bearer token), `stream` (hold or after)."""

    stages: ClassVar = (Stage.BOTH,)
    actions: ClassVar = (Action.BLOCK, Action.FLAG)

    def __init__(self, options: Mapping[str, Any], setting: Setting) -> None:
        given = Options("http", options)
        self._url = given.text("url")
        self._timeout = float(given.number("timeout", 5, least=0.01, most=120))
        self._token = given.text("token_env")
        self.holds = given.choice("stream", ("hold", "after")) == "hold"
        self.roles = frozenset(given.texts("roles"))
        given.done()
        if not self._url:
            raise Invalid("The guard http needs a url.")
        self._private = setting.allow_private
        net.check_url(self._url, allow_private=setting.allow_private, resolve_host=False)

    async def ask(self, text: str, about: About, transport: Transport) -> Reply:
        """Return what the service says; raises Unavailable for anything but a proper answer."""
        body = msgspec.json.encode(
            {
                "text": text,
                "stage": str(about.stage),
                "route": about.route,
                "key_id": about.key_id,
                "user": about.user,
            }
        )
        headers = {"content-type": "application/json"}
        if self._token:
            headers["authorization"] = f"Bearer {os.environ.get(self._token, '').strip()}"
        status, answer = await transport.post(
            self._url, body, headers, timeout=self._timeout, allow_private=self._private
        )
        if status != 200:
            raise Unavailable(f"The guard answered {status}.")
        try:
            reply = _reply.decode(answer)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise Unavailable("The guard's answer makes no sense.") from error
        if reply.action == "modify" and reply.text is None:
            raise Unavailable("The guard's answer modifies, but brings no text.")
        return Reply(_ACTIONS[reply.action], reply.rule[:100], reply.score, reply.text)
