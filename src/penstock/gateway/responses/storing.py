"""What the gateway does with a call of the Responses API before and after its provider."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import msgspec

from penstock.core import clock, ids
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.scope import Scope
from penstock.gateway.dialects.envelope import Envelope
from penstock.gateway.responses import expanding, service
from penstock.gateway.responses.keeping import Keeping, Naming, Send
from penstock.gateway.responses.model import Content, StoredResponse, item_id, pack
from penstock.gateway.responses.store import Row
from penstock.gateway.responses.writer import Writer
from penstock.gateway.settings import GatewaySettings

T = TypeVar("T")
MEGABYTE = 1024 * 1024
MAX_INDEXED = 500
"""Items of one answer that later requests may refer to by id."""
_optional_text = msgspec.json.Decoder(str | None)
_optional_flag = msgspec.json.Decoder(bool | None)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call that may be carried: what to send on, and what to do with its answer."""

    envelope: Envelope
    """Says everything itself; the provider stores nothing."""
    previous: str | None
    _store: "ResponseStore"
    _row: StoredResponse | None
    _input: list[msgspec.Raw]

    def sending(self, send: Send) -> Send:
        """Return what to send the answer through, instead of `send`."""
        if self._row is None:
            return Keeping(send, Naming(None, self.previous), None).send if self.previous else send
        row = self._row

        async def keep(response: msgspec.Raw) -> bool:
            return await self._store.keep(row, Content(self._input, response))

        return Keeping(send, Naming(row.id, self.previous), keep).send


class ResponseStore:
    """Stored responses as the gateway of one event loop uses them; `close` it before the loop ends."""

    def __init__(self, home: Home) -> None:
        settings = home.settings.section(GatewaySettings)
        self._home = home
        self._writer = Writer(home)
        self._life = timedelta(days=settings.response_days)
        self._max_stored = settings.response_mb * MEGABYTE
        self._max_chain = settings.max_body_mb * MEGABYTE

    async def close(self) -> None:
        """Wait until everything is written."""
        await self._writer.close()

    async def prepare(self, scope: Scope, key_id: str, envelope: Envelope) -> Prepared:
        """Return the call with the conversation it goes on from written out.

        Raises Invalid: `previous_response_not_found` for one that the project does not have (any more), or what is
        wrong with the body; TooLarge when the conversation is too long to be sent.
        """
        _refuse(envelope)
        previous = _member(envelope, "previous_response_id", _optional_text, "text")
        stores = _member(envelope, "store", _optional_flag, "true or false") is not False
        refers = expanding.REFERENCE in envelope.body
        items = expanding.given_items(envelope) if stores or previous or refers else []
        if previous or refers:
            earlier, items = await asyncio.to_thread(self._read, scope, previous, items)
            body = expanding.body_for(envelope, expanding.distinct([*earlier, *items]))
            if len(body) > self._max_chain:
                raise service.too_long()
        elif stores:
            body = expanding.body_for(envelope, None)
        else:
            return Prepared(envelope, None, self, None, [])
        sent = Envelope(body, model=envelope.model, stream=envelope.stream)
        row = self._new(scope, key_id, envelope.model, previous or None) if stores else None
        return Prepared(sent, previous or None, self, row, items)

    def _read(
        self, scope: Scope, previous: str | None, items: list[msgspec.Raw]
    ) -> tuple[list[msgspec.Raw], list[msgspec.Raw]]:
        """Return the items of the conversation so far, and the new ones without references."""
        named = expanding.references(items)
        with self._home.read() as uow:
            chain = service.chain(uow, scope, previous, self._max_chain) if previous else []
            earlier = expanding.history(chain)
            present = {name for each in earlier if (name := item_id(each)) is not None}
            known: dict[str, msgspec.Raw | None] = dict.fromkeys(named)
            for name in known.keys() - present:
                found = service.item(uow, scope, name)
                if found is None:
                    raise Invalid(
                        f"Item with id '{name}' not found.",
                        details={"param": "input", "code": "item_not_found"},
                    )
                known[name] = found if expanding.sendable(found) else None
        return earlier, expanding.resolve(items, known)

    def _new(self, scope: Scope, key_id: str, model: str, previous: str | None) -> StoredResponse:
        now = clock.now()
        return StoredResponse(
            id=ids.new_id("resp"),
            scope=scope,
            key_id=key_id,
            previous_id=previous,
            model=model,
            created_at=now,
            expires_at=now + self._life,
            body=b"",
        )

    async def keep(self, row: StoredResponse, content: Content) -> bool:
        """Store an answer; committed when it returns. False when it is too large; raises what writing raises."""
        size = len(content.response) + sum(map(len, content.input))
        if size > self._max_stored:
            return False
        packed = pack(content) if size < MEGABYTE // 4 else await asyncio.to_thread(pack, content)
        names = [name for each in content.output() if (name := item_id(each)) is not None]
        return await self._writer.write(Row(row.packed(packed), tuple(dict.fromkeys(names[:MAX_INDEXED]))))


def _refuse(envelope: Envelope) -> None:
    """Raise Invalid for what only a provider that stores could do."""
    if bytes(envelope.fields.get("background", b"null")) not in (b"null", b"false"):
        raise Invalid(
            "Responses in the background are not supported.",
            details={"param": "background", "code": "unsupported_parameter"},
        )
    if bytes(envelope.fields.get("conversation", b"null")) != b"null":
        raise Invalid(
            "Conversations are not supported.",
            hint="Use previous_response_id.",
            details={"param": "conversation", "code": "unsupported_parameter"},
        )


def _member(envelope: Envelope, name: str, decoder: "msgspec.json.Decoder[T]", what: str) -> T | None:
    raw = envelope.fields.get(name)
    if raw is None:
        return None
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Invalid(
            f"The field {name} must be {what}.", details={"param": name, "code": "invalid_value"}
        ) from error
