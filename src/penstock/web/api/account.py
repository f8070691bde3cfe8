"""Who am I, sign-in, keys and projects."""

from datetime import datetime, timedelta

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from penstock.core.auth import service as auth
from penstock.core.auth.model import Key
from penstock.core.http import CurrentActor, Page, ReadUow, WriteUow
from penstock.core.http.dependencies import SESSION_COOKIE
from penstock.core.scope import Role
from penstock.version import __version__

router = APIRouter(tags=["account"])


class Me(BaseModel):
    """The caller."""

    id: str
    name: str
    role: Role
    tenant: str
    project: str
    version: str


class SignIn(BaseModel):
    """The token of a one-time sign-in link."""

    model_config = ConfigDict(extra="forbid")

    token: str = Field(min_length=1, max_length=200)


class NewKey(BaseModel):
    """A key to make."""

    model_config = ConfigDict(extra="forbid")

    name: str
    role: Role = Role.MEMBER
    any_project: bool = False
    models: list[str] = Field(
        default=[], description="The only models that its calls may use, `*` and `?` for anything; empty: all"
    )
    expires_in_days: int | None = Field(default=None, ge=1, le=3650)


class Rotation(BaseModel):
    """How to rotate a key."""

    model_config = ConfigDict(extra="forbid")

    grace_seconds: int = Field(
        default=0, ge=0, le=30 * 86_400, description="How long the old secret still works"
    )


class KeyModel(BaseModel):
    """A key without its secret."""

    id: str
    name: str
    hint: str
    role: Role
    project: str
    any_project: bool
    owner: str
    models: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class KeyWithSecret(KeyModel):
    """A new key; `key` is shown this once."""

    key: str


class ProjectModel(BaseModel):
    """A project."""

    model_config = ConfigDict(extra="forbid")

    name: str
    description: str = ""


def _key(key: Key) -> dict[str, object]:
    return {**msgspec.to_builtins(key), "project": key.scope.project}


@router.get("/me")
def me(actor: CurrentActor) -> Me:
    """Return the caller, and the project the request works in."""
    return Me(
        id=actor.id,
        name=actor.name,
        role=actor.role,
        tenant=actor.scope.tenant,
        project=actor.scope.project,
        version=__version__,
    )


@router.post("/session", status_code=204)
def sign_in(uow: WriteUow, request: Request, response: Response, link: SignIn) -> None:
    """Exchange a one-time token for a session cookie."""
    secret = auth.sign_in(uow, link.token)
    response.set_cookie(
        SESSION_COOKIE,
        secret,
        max_age=auth.SESSION_DAYS * 86_400,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
        path="/",
    )


@router.delete("/session", status_code=204)
def sign_out(uow: WriteUow, request: Request, response: Response) -> None:
    """End the session."""
    auth.sign_out(uow, request.cookies.get(SESSION_COOKIE, ""))
    response.delete_cookie(SESSION_COOKIE, path="/")


@router.get("/keys")
def list_keys(uow: ReadUow, actor: CurrentActor) -> Page[KeyModel]:
    """List the project's keys, newest first."""
    return Page(items=[KeyModel.model_validate(_key(key)) for key in auth.list_keys(uow, actor)])


@router.post("/keys", status_code=201)
def create_key(uow: WriteUow, actor: CurrentActor, new: NewKey) -> KeyWithSecret:
    """Make a key; its secret is in this answer and nowhere else."""
    lifetime = timedelta(days=new.expires_in_days) if new.expires_in_days else None
    key, secret = auth.create_key(
        uow,
        actor,
        name=new.name,
        role=new.role,
        any_project=new.any_project,
        models=new.models,
        expires_in=lifetime,
    )
    return KeyWithSecret.model_validate({**_key(key), "key": secret})


@router.post("/keys/{key_id}/rotate")
def rotate_key(uow: WriteUow, actor: CurrentActor, key_id: str, rotation: Rotation) -> KeyWithSecret:
    """Give a key a new secret under the same id; it is in this answer and nowhere else."""
    grace = timedelta(seconds=rotation.grace_seconds)
    key, secret = auth.rotate_key(uow, actor, key_id=key_id, grace=grace)
    return KeyWithSecret.model_validate({**_key(key), "key": secret})


@router.delete("/keys/{key_id}", status_code=204)
def revoke_key(uow: WriteUow, actor: CurrentActor, key_id: str) -> None:
    """Revoke a key."""
    auth.revoke_key(uow, actor, key_id=key_id)


@router.get("/projects")
def list_projects(uow: ReadUow, actor: CurrentActor) -> Page[ProjectModel]:
    """List projects by name."""
    found = auth.list_projects(uow, actor)
    return Page(items=[ProjectModel(name=p.name, description=p.description) for p in found])


@router.post("/projects", status_code=201)
def create_project(uow: WriteUow, actor: CurrentActor, new: ProjectModel) -> ProjectModel:
    """Make a project."""
    project = auth.create_project(uow, actor, name=new.name, description=new.description)
    return ProjectModel(name=project.name, description=project.description)
