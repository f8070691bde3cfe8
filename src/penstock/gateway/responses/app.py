"""`/v1/responses/{id}` as OpenAI's API has it, for the gateway's raw ASGI app."""

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from penstock.core.errors import Invalid, NotFound
from penstock.core.home import Home
from penstock.core.scope import Actor
from penstock.gateway.batches.app import MethodNotAllowed, Request, Send
from penstock.gateway.responses import service
from penstock.gateway.responses.model import Content, Fields

_PATH = re.compile(r"/v1/responses/([^/]+)(?:/(input_items|cancel))?/?")
DEFAULT_PAGE, MAX_PAGE = 20, 100
_fields = msgspec.json.Decoder(Fields)
_encode = msgspec.json.encode
PREFIXES = {"function_call": "fc", "reasoning": "rs", "function_call_output": "fco"}


class ResponsesApp:
    """Answers for paths it `handles`; the caller has found out who asks, and renders the errors raised."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._verbs: dict[tuple[str, str], Callable[[Request, Actor, str], Any]] = {
            ("", "GET"): self._get,
            ("", "DELETE"): self._delete,
            ("input_items", "GET"): self._items,
            ("cancel", "POST"): self._cancel,
        }

    @staticmethod
    def handles(path: str) -> bool:
        """Whether `path` is about a stored response."""
        return _PATH.fullmatch(path) is not None

    async def handle(
        self, request: Request, send: Send, actor: Actor, headers: list[tuple[bytes, bytes]]
    ) -> None:
        """Answer one request with `headers` besides its own; raises PenstockErrors before anything was sent."""
        found = _PATH.fullmatch(request.path)
        assert found is not None
        act = self._verbs.get((found[2] or "", request.method))
        if act is None:
            methods = sorted(method for verb, method in self._verbs if verb == (found[2] or ""))
            raise MethodNotAllowed(
                f"{request.path} does not take {request.method}.", hint=f"Use {', '.join(methods)}."
            )
        body = _encode(await asyncio.to_thread(act, request, actor, found[1]))
        head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *headers]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})

    def _content(self, actor: Actor, name: str) -> Content:
        with self._home.read() as uow:
            return service.get(uow, actor, name).content()

    def _get(self, request: Request, actor: Actor, name: str) -> Any:
        if _query(request).get("stream", "false").lower() not in ("false", "0", ""):
            raise Invalid(
                "A stored response is not streamed again.",
                hint="Leave stream out.",
                details={"param": "stream", "code": "unsupported_parameter"},
            )
        return self._content(actor, name).response

    def _delete(self, _: Request, actor: Actor, name: str) -> Any:
        with self._home.begin() as uow:
            service.delete(uow, actor, name)
        return {"id": name, "object": "response", "deleted": True}

    def _cancel(self, _: Request, actor: Actor, name: str) -> Any:
        self._content(actor, name)
        raise Invalid(
            "Only responses in the background can be cancelled, and this one is complete.",
            details={"param": "response_id", "code": "invalid_value"},
        )

    def _items(self, request: Request, actor: Actor, name: str) -> Any:
        query = _query(request)
        limit = _limit(query)
        order = query.get("order", "desc")
        if order not in ("asc", "desc"):
            raise Invalid("order must be asc or desc.", details={"param": "order", "code": "invalid_value"})
        shown = _identified(name, self._content(actor, name).input)
        if order == "desc":
            shown.reverse()
        names = [each for each, _ in shown]
        if (after := query.get("after")) is not None:
            if after not in names:
                raise NotFound(f"Item with id '{after}' not found.", details={"param": "after"})
            shown = shown[names.index(after) + 1 :]
        page = shown[:limit]
        first, last = (page[0][0], page[-1][0]) if page else (None, None)
        return {
            "object": "list",
            "data": [item for _, item in page],
            "first_id": first,
            "last_id": last,
            "has_more": len(shown) > limit,
        }


def _query(request: Request) -> Mapping[str, str]:
    return dict(parse_qsl(request.query.decode("latin-1")))


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("limit", str(DEFAULT_PAGE))
    if not text.isdecimal() or not 1 <= int(text) <= MAX_PAGE:
        raise Invalid(f"limit must be 1 to {MAX_PAGE}.", details={"param": "limit", "code": "invalid_value"})
    return int(text)


def _identified(response_id: str, items: list[msgspec.Raw]) -> list[tuple[str, Fields]]:
    """Return the items, each with its id; one that came without gets one that stays the same."""
    found = []
    for place, item in enumerate(items):
        fields = _fields.decode(item)
        kind = _text(fields.get("type")) or "message"
        name = _text(fields.get("id"))
        if not name:
            name = f"{PREFIXES.get(kind, 'msg')}_{response_id.partition('_')[2]}{place:04d}"
        fields |= {"id": msgspec.Raw(_encode(name)), "type": msgspec.Raw(_encode(kind))}
        found.append((name, _whole(kind, fields)))
    return found


def _whole(kind: str, fields: Fields) -> Fields:
    """Return a message as OpenAI lists it: content that was text only as a part, and a status."""
    if kind == "message":
        text = _text(fields.get("content"))
        if text is not None:
            part: dict[str, Any] = {"type": "input_text", "text": text}
            if _text(fields.get("role")) == "assistant":
                part = {"type": "output_text", "text": text, "annotations": []}
            fields["content"] = msgspec.Raw(_encode([part]))
        fields.setdefault("status", msgspec.Raw(b'"completed"'))
    return fields


def _text(raw: msgspec.Raw | None) -> str | None:
    found = None if raw is None else msgspec.json.decode(raw)
    return found if isinstance(found, str) else None
