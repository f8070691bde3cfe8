"""The clients that share one generator (`openai`, `anthropic`): every call passes the client's `post`.

Wrapping that one method covers what a resource offers on top of it: plain calls, parsing, streams and their helpers,
raw responses. It is replaced on the client and on the resources that hold it already; the library stays untouched.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from penstock.sdk.quiet import fault
from penstock.sdk.wrapping.calls import Call, Endpoint, Server, open_call
from penstock.sdk.wrapping.streams import watch_stream

MARK = "_penstock_wrapped"
_DEEPEST = 6


def wrap(
    client: Any, server: Server, endpoints: Mapping[str, Endpoint], rewrap: Callable[[Any], Any]
) -> None:
    """Record the calls of `client` whose path is in `endpoints`; copies that it makes are given to `rewrap`."""
    original = client.post
    maker = _async_post if inspect.iscoroutinefunction(original) else _post
    recorded = functools.wraps(original)(maker(original, server, endpoints))
    client.post = recorded
    _replace(client, recorded, 0)
    for name in ("copy", "with_options"):
        if hasattr(client, name):
            setattr(client, name, _copying(getattr(client, name), rewrap))
    setattr(client, MARK, True)


def _replace(holder: Any, recorded: Callable[..., Any], depth: int) -> None:
    """Put the recording method into the resources that were made before."""
    for value in list(vars(holder).values()):
        if depth < _DEEPEST and hasattr(value, "_post") and hasattr(value, "__dict__"):
            value._post = recorded
            _replace(value, recorded, depth + 1)


def _copying(copy: Callable[..., Any], rewrap: Callable[[Any], Any]) -> Callable[..., Any]:
    @functools.wraps(copy)
    def call(*args: Any, **kwargs: Any) -> Any:
        return rewrap(copy(*args, **kwargs))

    return call


def _post(
    original: Callable[..., Any], server: Server, endpoints: Mapping[str, Endpoint]
) -> Callable[..., Any]:
    def post(path: str, **kwargs: Any) -> Any:
        call = _opened(path, kwargs, server, endpoints)
        if call is None:
            return original(path, **kwargs)
        with call.running():
            result = original(path, **_told(call, kwargs))
        return _finished(call, result, streaming=bool(kwargs.get("stream")))

    return post


def _async_post(
    original: Callable[..., Any], server: Server, endpoints: Mapping[str, Endpoint]
) -> Callable[..., Any]:
    async def post(path: str, **kwargs: Any) -> Any:
        call = _opened(path, kwargs, server, endpoints)
        if call is None:
            return await original(path, **kwargs)
        with call.running():
            result = await original(path, **_told(call, kwargs))
        return _finished(call, result, streaming=bool(kwargs.get("stream")))

    return post


def _opened(
    path: str, kwargs: Mapping[str, Any], server: Server, endpoints: Mapping[str, Endpoint]
) -> Call | None:
    endpoint = endpoints.get(path.partition("?")[0].removeprefix("/v1").rstrip("/"))
    body = kwargs.get("body")
    if endpoint is None or not isinstance(body, Mapping):
        return None
    options = kwargs.get("options")
    extra = options.get("extra_json") if isinstance(options, Mapping) else None
    return open_call(endpoint, server, {**body, **extra} if isinstance(extra, Mapping) else body)


def _told(call: Call, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments, with the trace's headers where the gateway reads them."""
    if not call.gateway:
        return kwargs
    options = kwargs.get("options") or {}
    return {**kwargs, "options": {**options, "headers": call.headers(options.get("headers"))}}


def _finished(call: Call, result: Any, *, streaming: bool) -> Any:
    """End the call, or let its stream end it; returns `result` as it is."""
    try:
        answer = result
        if hasattr(result, "http_response"):
            if "Legacy" not in type(result).__name__:  # its body is read by the program, if at all
                call.end()
                return result
            answer = (
                result.parse()
            )  # which the library keeps: the program's own parse() gives the same object
        if streaming and hasattr(answer, "_iterator"):
            watch_stream(answer, call)
        else:
            call.answer(answer)
    except Exception as error:  # noqa: BLE001 - tracing never raises into the traced program
        fault("finish", error)
        call.end()
    return result
