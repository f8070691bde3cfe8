"""Passing a stream on: guards, comments in silences, errors in mid-stream."""

import asyncio

from penstock.core import log
from penstock.core.errors import PenstockError, Upstream
from penstock.core.http.families import render_error
from penstock.gateway.call import Call
from penstock.gateway.dialects.base import Relay
from penstock.gateway.dialects.responses_pieces import error_event
from penstock.gateway.model import Operation
from penstock.gateway.opening import Opened
from penstock.gateway.upstream.response import Response

_log = log.get("gateway")
DRAIN_SECONDS = 1.0


async def deliver(call: Call, opened: Opened) -> None:
    """Send the caller a stream that has begun; raises the error that it broke with."""
    relay = opened.relay
    assert relay is not None
    call.output = relay.output
    call.first_ns = max(call.start_ns, opened.first_ns)
    call.answered = True
    try:
        if call.hook is not None and call.hook.holds:
            held = await call.hook.release(await _collect(opened, relay))
            await _send(call, held, more=False)
        else:
            await _pump(call, opened, relay)
    finally:
        call.usage = relay.usage
        call.answer_model = relay.model


async def _pump(call: Call, opened: Opened, relay: Relay) -> None:
    response, out = opened.response, opened.first
    assert response is not None
    while True:
        if out:
            await _send(call, out, more=not relay.complete)
        if relay.complete:
            if not out:
                await _send(call, b"", more=False)
            await _drain(response)
            return
        out = await _more(call, opened, relay, response)


async def _more(call: Call, opened: Opened, relay: Relay, response: Response) -> bytes:
    data = await response.next()
    out = relay.finish() if data is None else relay.feed(data)
    if relay.fault is not None:
        if out:
            await _send(call, out, more=True)
        opened.check_fault()
    if data is None and not relay.complete:
        raise Upstream("The provider ended the stream before the answer was complete.")
    return out


async def _collect(opened: Opened, relay: Relay) -> bytes:
    """Return the whole stream; nothing of it goes out before its end."""
    response, parts = opened.response, [opened.first]
    assert response is not None
    while not relay.complete:
        data = await response.next()
        parts.append(relay.finish() if data is None else relay.feed(data))
        if relay.fault is not None:
            opened.check_fault()
        if data is None and not relay.complete:
            raise Upstream("The provider ended the stream before the answer was complete.")
    return b"".join(parts)


async def _send(call: Call, out: bytes, *, more: bool) -> None:
    if call.pinging is not None:
        await call.pinging
    if not call.started:
        await call.begin_stream()
    if not more:
        call.ping_seconds = 0.0
    await call.send({"type": "http.response.body", "body": out, "more_body": more})
    call.last_sent = asyncio.get_running_loop().time()


async def _drain(response: Response) -> None:
    # The caller has everything. What may be left is the end of the chunked body: waiting a moment
    # for it lets the connection be used again.
    timer = asyncio.get_running_loop().call_later(DRAIN_SECONDS, response.abandon)
    try:
        while await response.next() is not None:
            pass
    except PenstockError as error:
        _log.debug("connection not reused: %s", error)
    finally:
        timer.cancel()


async def end_broken(call: Call, error: PenstockError) -> None:
    """End an open stream with the error, in the caller's dialect."""
    _log.info("stream %s broke: %s", call.request_id, error)
    call.ping_seconds = 0.0
    call.error = str(error)
    if call.pinging is not None:
        await call.pinging
    _, _, body = render_error(error, call.family, call.request_id)
    kind = b"event: error\n" if call.family == "anthropic" else b""
    if call.operation is Operation.RESPONSES:
        kind, body = b"event: error\n", error_event(body)
    await call.send({"type": "http.response.body", "body": kind + b"data: " + body + b"\n\n"})
