"""Who calls: the secret in a request, the project it asks for, and where a browser's request came from."""

from urllib.parse import parse_qs, urlsplit

from penstock.core.errors import Denied, Unauthenticated
from penstock.core.scope import Scope
from penstock.gateway.call import Headers
from penstock.gateway.snapshot import Caller

SESSION_COOKIE = b"penstock_session="


def key_parameter(query: bytes) -> bytes:
    """Return the parameter `key`, where Gemini's REST clients put the secret."""
    found = parse_qs(query).get(b"key")
    return found[0] if found else b""


def secret_of(headers: Headers, parameter: bytes) -> bytes:
    """Return the caller's secret; raises Unauthenticated when there is none."""
    authorization = headers.get(b"authorization")
    if authorization is not None and authorization[:7].lower() == b"bearer ":
        return authorization[7:].strip()
    for name in (b"x-api-key", b"x-goog-api-key"):
        value = headers.get(name)
        if value:
            return value.strip()
    if parameter:
        return parameter
    for part in headers.get(b"cookie", b"").split(b";"):
        if part.strip().startswith(SESSION_COOKIE):
            return part.strip().removeprefix(SESSION_COOKIE)
    raise Unauthenticated(
        "No API key was sent.",
        hint="Send it as `Authorization: Bearer psk_…`, `x-api-key` or `x-goog-api-key`.",
    )


def check_origin(headers: Headers) -> None:
    """Raise Denied for a browser's request from another site: cookies travel with those too, keys do not."""
    origin = headers.get(b"origin")
    if origin is not None and urlsplit(origin).netloc != headers.get(b"host"):
        raise Denied("This request came from another site.", hint="Use an API key instead of the session.")


def scope_of(caller: Caller, project: bytes | None) -> Scope:
    """Return the project to work in; raises Denied when the key is bound to another."""
    if project is None:
        return caller.scope
    name = project.decode("utf-8", "replace")
    if name == caller.scope.project:
        return caller.scope
    if not caller.any_project:
        raise Denied(f"This key belongs to the project {caller.scope.project!r}, not {name!r}.")
    return Scope(caller.scope.tenant, name)
