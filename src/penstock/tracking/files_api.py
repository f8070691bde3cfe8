"""HTTP of what runs left: artifacts and logged models, under /api/v1/runs and /api/v1/logged-models."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from penstock.core.http import CurrentActor, HomeDep, ReadUow
from penstock.tracking import service
from penstock.tracking.model import Artifact, LoggedModel, ModelStatus

router = APIRouter()

BYTES = "application/octet-stream"
"""Whatever a file claims to be, browsers are told to save it, never to show it."""

Folder = Annotated[str, Query(max_length=1000, description="A folder; empty: the top")]
File = Annotated[str, Query(max_length=1000, description="A file, as it is listed")]
First = Annotated[int | None, Query(ge=1, description="Only so many bytes from the beginning")]


class ArtifactModel(BaseModel):
    """A file or folder."""

    path: str
    is_dir: bool
    size: int
    sha256: str


class LoggedModelModel(BaseModel):
    """A model that a run saved; its files are artifacts of its own."""

    id: str
    run_id: str
    name: str
    type: str
    status: ModelStatus
    created_at: datetime
    role: str = Field(description="input: the run read it; output: the run made it")
    params: dict[str, str]
    tags: dict[str, str]


def _artifacts(found: list[Artifact]) -> list[ArtifactModel]:
    return [
        ArtifactModel(path=one.path, is_dir=one.is_dir, size=one.size, sha256=one.sha256) for one in found
    ]


def _cut(pieces: Iterator[bytes], first: int) -> Iterator[bytes]:
    for piece in pieces:
        yield piece[:first]
        first -= len(piece)
        if first <= 0:
            return


def _content(
    home: HomeDep, actor: CurrentActor, root: str, path: str, first: int | None
) -> StreamingResponse:
    with home.read() as uow:
        found = service.get_artifact(uow, actor, root=root, path=path)
    pieces = home.blobs.stream(found.sha256)
    headers = {
        "content-length": str(found.size if first is None else min(found.size, first)),
        "content-disposition": "attachment",
        "x-content-type-options": "nosniff",
        "etag": f'"{found.sha256}"' if first is None else f'"{found.sha256}-{first}"',
    }
    body = pieces if first is None else _cut(pieces, first)
    return StreamingResponse(body, media_type=BYTES, headers=headers)


@router.get("/runs/{id}/artifacts")
def list_artifacts(uow: ReadUow, actor: CurrentActor, id: str, path: Folder = "") -> list[ArtifactModel]:
    """List the files and folders right below `path`."""
    run = service.find_run(uow, actor, id=id)
    return _artifacts(service.list_artifacts(uow, actor, root=run.id, path=path))


@router.get("/runs/{id}/artifacts/content", response_class=StreamingResponse)
def get_artifact(
    home: HomeDep, actor: CurrentActor, id: str, path: File, first: First = None
) -> StreamingResponse:
    """Return the bytes of a run's file, to be saved."""
    with home.read() as uow:
        run = service.find_run(uow, actor, id=id)
    return _content(home, actor, run.id, path, first)


@router.get("/runs/{id}/models")
def list_logged_models(uow: ReadUow, actor: CurrentActor, id: str) -> list[LoggedModelModel]:
    """List the models that a run logged or read, oldest first."""
    run = service.find_run(uow, actor, id=id)
    roles = {use.model_id: use.role for use in run.models}
    return [_logged(one, roles.get(one.id, "output")) for one in service.models_of(uow, actor, run)]


def _logged(found: LoggedModel, role: str) -> LoggedModelModel:
    return LoggedModelModel(
        id=found.id,
        run_id=found.run_id,
        name=found.name,
        type=found.type,
        status=found.status,
        created_at=found.created_at,
        role=role,
        params=found.params,
        tags=found.tags,
    )


@router.get("/logged-models/{id}/artifacts")
def list_model_files(uow: ReadUow, actor: CurrentActor, id: str, path: Folder = "") -> list[ArtifactModel]:
    """List the files and folders of a logged model right below `path`."""
    model = service.find_model(uow, actor, id=id)
    return _artifacts(service.list_artifacts(uow, actor, root=model.id, path=path))


@router.get("/logged-models/{id}/artifacts/content", response_class=StreamingResponse)
def get_model_file(
    home: HomeDep, actor: CurrentActor, id: str, path: File, first: First = None
) -> StreamingResponse:
    """Return the bytes of a logged model's file, to be saved."""
    with home.read() as uow:
        model = service.find_model(uow, actor, id=id)
    return _content(home, actor, model.id, path, first)
