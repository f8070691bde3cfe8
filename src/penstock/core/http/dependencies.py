"""FastAPI dependencies: the caller, and a unit of work in a transaction that the edge owns."""

from collections.abc import Iterator
from typing import Annotated, cast
from urllib.parse import urlsplit

from fastapi import Depends, Header, Query, Request

from penstock.core.auth import service as auth
from penstock.core.errors import Denied, Unauthenticated
from penstock.core.home import Home
from penstock.core.scope import Actor, Role
from penstock.core.uow import UnitOfWork

SESSION_COOKIE = "penstock_session"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def get_home(request: Request) -> Home:
    """Return the home that the app serves."""
    return cast(Home, request.app.state.home)


HomeDep = Annotated[Home, Depends(get_home)]


def bearer(authorization: str | None, x_api_key: str | None) -> str | None:
    """Return the key of an `Authorization: Bearer` or `x-api-key` header."""
    if authorization:
        scheme, _, value = authorization.partition(" ")
        if scheme.lower() == "bearer" and value.strip():
            return value.strip()
    return x_api_key or None


def _same_origin(request: Request) -> None:
    # Browsers send the cookie along with other sites' requests; a key in a header needs no such check.
    origin = request.headers.get("origin")
    if request.method in _SAFE or origin is None:
        return
    if urlsplit(origin).netloc != request.headers.get("host"):
        raise Denied(
            "This request came from another site.", hint="Use an API key instead of the browser session."
        )


def get_actor(
    request: Request,
    home: HomeDep,
    authorization: Annotated[str | None, Header(include_in_schema=False)] = None,
    x_api_key: Annotated[str | None, Header(include_in_schema=False)] = None,
    x_penstock_project: Annotated[
        str | None, Header(description="Project to work in; default: the key's own")
    ] = None,
    project: Annotated[str | None, Query(description="Project to work in; default: the key's own")] = None,
) -> Actor:
    """Return who is asking, in the project they chose; raises Unauthenticated."""
    secret = bearer(authorization, x_api_key)
    with home.read() as uow:
        if secret is not None:
            actor = auth.authenticate(uow, secret)
        else:
            cookie = request.cookies.get(SESSION_COOKIE)
            if cookie is None:
                raise Unauthenticated(
                    "Sign in, or send an API key as `Authorization: Bearer psk_…`.",
                    hint="penstock signin prints a sign-in link.",
                )
            _same_origin(request)
            actor = auth.session_actor(uow, cookie)
        return auth.enter_project(uow, actor, project or x_penstock_project)


CurrentActor = Annotated[Actor, Depends(get_actor)]


def get_admin(actor: CurrentActor) -> Actor:
    """Return the actor if it is an administrator; raises Denied."""
    if actor.role.rank < Role.ADMIN.rank:
        raise Denied(f"{actor.name} ({actor.role}) may not do this; it needs the role admin or above.")
    return actor


AdminActor = Annotated[Actor, Depends(get_admin)]


def get_read(home: HomeDep) -> Iterator[UnitOfWork]:
    """Yield a unit of work on a snapshot."""
    with home.read() as uow:
        yield uow


def get_write(home: HomeDep) -> Iterator[UnitOfWork]:
    """Yield a unit of work that commits before the answer is sent."""
    with home.begin() as uow:
        yield uow


ReadUow = Annotated[UnitOfWork, Depends(get_read, scope="function")]
WriteUow = Annotated[UnitOfWork, Depends(get_write, scope="function")]
