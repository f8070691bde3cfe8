"""HTTP of datasets, under /api/v1/datasets."""

from datetime import datetime
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from penstock.core import ids
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.http import CurrentActor, HomeDep, Page, ReadUow, WriteUow, decode_cursor, encode_cursor
from penstock.core.http.upload import save_upload
from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.core.settings import ServerSettings
from penstock.datasets import (
    card,
    cleaning_api,
    contract_api,
    contract_service,
    diff_api,
    pull_api,
    recipe,
    service,
    uploads,
)
from penstock.datasets.model import ColumnType, Dataset, DatasetVersion, check_name
from penstock.datasets.settings import DatasetsSettings
from penstock.datasets.split_plan import parse_shares
from penstock.datasets.uploads import Upload

router = APIRouter(prefix="/datasets", tags=["datasets"])
router.include_router(cleaning_api.router)
router.include_router(contract_api.router)
router.include_router(diff_api.router)
router.include_router(pull_api.router)


class NewDataset(BaseModel):
    """A dataset to make."""

    model_config = ConfigDict(extra="forbid")

    name: str
    description: str = ""


class DatasetModel(BaseModel):
    """A dataset and its newest version."""

    id: str
    name: str
    description: str
    created_at: datetime
    latest: int
    rows: int


class ColumnModel(BaseModel):
    """A column."""

    name: str
    type: ColumnType


class LinkModel(BaseModel):
    """Something the version was made from."""

    kind: str
    ref: str
    role: str


class ConsumerModel(BaseModel):
    """Something that was made from the version."""

    kind: str
    ref: str
    role: str


class SourceModel(BaseModel):
    """Where the rows came from."""

    name: str
    format: str
    sha256: str
    size: int
    encoding: str
    rows: int
    detail: dict[str, str] = Field({}, description="How to get pulled rows again; holds no credentials")


class VersionModel(BaseModel):
    """An immutable version."""

    id: str
    dataset: str
    number: int
    ref: str
    hash: str
    rows: int
    splits: dict[str, int]
    schema_: list[ColumnModel] = Field(alias="schema")
    quarantined: int
    removed: int
    source: SourceModel
    key: str | None
    description: str
    created_at: datetime
    created_by: str


class VersionDetail(VersionModel):
    """A version with everything known about it."""

    profile: dict[str, Any]
    recipe: dict[str, Any] | None
    recipe_report: list[dict[str, Any]]
    split_plan: dict[str, Any] | None
    lineage: list[LinkModel]
    consumers: list[ConsumerModel] = Field(description="What was made from this version, nearest first")
    tags: list[str]
    card: str


class UploadResult(BaseModel):
    """What became of an upload: a version at once, or a job that makes it."""

    version: VersionModel | None = None
    job: str | None = None


class RowModel(BaseModel):
    """A row with its place, key and split."""

    position: int
    key: str
    split: str
    data: dict[str, Any]


class LeftOutModel(BaseModel):
    """A source row that is not in the version."""

    line: int
    step: str
    reason: str
    excerpt: str
    kept_line: int | None
    similarity: float | None


Name = Annotated[str, Path(description="The dataset's name")]
Number = Annotated[int, Path(ge=1, le=999_999_999, description="The version's number")]
Limit = Annotated[int, Query(ge=1, le=1000)]


def _dataset(dataset: Dataset) -> DatasetModel:
    return DatasetModel.model_validate(msgspec.to_builtins(dataset))


def _plain(version: DatasetVersion) -> dict[str, Any]:
    return {**msgspec.to_builtins(version), "ref": version.ref}


def _version(version: DatasetVersion) -> VersionModel:
    return VersionModel.model_validate(_plain(version))


@router.get("")
def list_datasets(
    uow: ReadUow,
    actor: CurrentActor,
    q: Annotated[str, Query(description="Text in the name or description")] = "",
    cursor: str = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> Page[DatasetModel]:
    """List datasets by name."""
    found = service.list_datasets(uow, actor, text=q, after=cursor, limit=limit + 1)
    following = found[limit - 1].name if len(found) > limit else None
    return Page(items=[_dataset(dataset) for dataset in found[:limit]], next=following)


@router.post("", status_code=201)
def create_dataset(uow: WriteUow, actor: CurrentActor, new: NewDataset) -> DatasetModel:
    """Make an empty dataset."""
    return _dataset(service.create(uow, actor, name=new.name, description=new.description))


@router.get("/{name}")
def list_versions(
    uow: ReadUow,
    actor: CurrentActor,
    name: Name,
    cursor: Annotated[int | None, Query(ge=1)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Page[VersionModel]:
    """List a dataset's versions, newest first."""
    found = service.list_versions(uow, actor, name=name, before=cursor, limit=limit + 1)
    following = str(found[limit - 1].number) if len(found) > limit else None
    return Page(items=[_version(version) for version in found[:limit]], next=following)


class UploadQuery(BaseModel):
    """How to ingest the uploaded file."""

    model_config = ConfigDict(extra="forbid")

    filename: str = Field("upload", description="What the file is called; its ending tells the format")
    format: Literal["jsonl", "json", "csv", "tsv", "parquet", "arrow"] | None = None
    encoding: str | None = Field(None, description="Text encoding; found out when left out")
    on_bad_rows: Literal["fail", "quarantine"] = "fail"
    recipe: str = Field("", description="Recipe as JSON: a list of steps")
    splits: str = Field("", description="For example train=0.8,test=0.2")
    stratify_by: str | None = None
    group_by: str | None = None
    time_by: str | None = Field(None, description="Column of moments: oldest rows to the first split named")
    seed: int = 0
    key: str | None = Field(None, description="Column that identifies a row")
    append: bool = Field(False, description="Put the rows behind the newest version's")
    description: str = ""
    parent: list[str] = Field([], description="kind:ref of what the rows were made from")
    project: str | None = None


@router.post(
    "/{name}/versions",
    status_code=201,
    responses={202: {"model": UploadResult, "description": "Queued: the job makes the version"}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def add_version(
    request: Request,
    response: Response,
    home: HomeDep,
    actor: CurrentActor,
    name: Name,
    query: Annotated[UploadQuery, Query()],
) -> UploadResult:
    """Ingest the body, a file, as the next version; a large one becomes a job that makes it."""
    upload = await run_in_threadpool(_upload, home, actor, name, query)
    path = uploads.folder(home) / upload.file
    try:
        limit = home.settings.section(ServerSettings).max_upload_mb
        size = await save_upload(request.stream(), path, limit, instead="penstock datasets ingest")
        if size > home.settings.section(DatasetsSettings).inline_upload_mb << 20:
            job = await run_in_threadpool(uploads.start, home, actor, upload)
            response.status_code = 202
            return UploadResult(job=job.id)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return UploadResult(version=await run_in_threadpool(_ingest_now, home, actor, upload, path))


def _ingest_now(home: Home, actor: Actor, upload: Upload, path: FilePath) -> VersionModel:
    try:
        ref = uploads.run(home, actor, upload)
    finally:
        path.unlink(missing_ok=True)
    with home.read() as uow:
        return _version(service.resolve(uow, actor, ref))


def _upload(home: Home, actor: Actor, name: str, query: UploadQuery) -> Upload:
    """Check everything that can be checked before the file arrives."""
    with home.read() as uow:
        uow.may(actor, "datasets.write", check_name(name))
    return Upload(
        dataset=name,
        file=ids.new_id("upl"),
        name=FilePath(query.filename).name or "upload",
        format=query.format,
        encoding=query.encoding,
        on_bad_rows=query.on_bad_rows,
        recipe=_recipe(query.recipe),
        splits=parse_shares(query.splits.split(",")) or None,
        stratify_by=query.stratify_by,
        group_by=query.group_by,
        time_by=query.time_by,
        seed=query.seed,
        key=query.key,
        append=query.append,
        description=query.description,
        parents=tuple(_parent(text) for text in query.parent),
    )


def _recipe(text: str) -> dict[str, Any] | None:
    if not text:
        return None
    try:
        return recipe.parse(msgspec.json.decode(text)).plain()
    except msgspec.DecodeError as error:
        raise Invalid(f"The recipe is not JSON: {error}.") from error


def _parent(text: str) -> Link:
    kind, colon, ref = text.partition(":")
    if not colon or not ref:
        raise Invalid(
            f"{text!r} is not a parent.", hint="Write kind:ref, for example dataset_version:mails@2."
        )
    return Link(kind, ref)


@router.get("/{name}/versions/{number}")
def get_version(uow: ReadUow, actor: CurrentActor, name: Name, number: Number) -> VersionDetail:
    """Return a version with its card, profile, recipe report and lineage."""
    found = service.resolve(uow, actor, f"{check_name(name)}@{number}")
    more = {
        "card": card.render(found),
        "consumers": [msgspec.to_builtins(link) for link in service.consumers(uow, actor, found)],
        "tags": [tag.tag for tag in contract_service.tags(uow, actor, name=name) if tag.number == number],
    }
    return VersionDetail.model_validate({**_plain(found), **more})


@router.get("/{name}/versions/{number}/rows")
def list_rows(
    home: HomeDep,
    actor: CurrentActor,
    name: Name,
    number: Number,
    split: str | None = None,
    cursor: str = "",
    limit: Limit = 100,
) -> Page[RowModel]:
    """List rows in order."""
    offset = _offset(cursor)
    ref = f"{check_name(name)}@{number}"
    found = list(service.stored_rows(home, actor, ref, split=split, limit=limit + 1, offset=offset))
    items = [
        RowModel(position=row.position, key=row.key, split=row.split, data=row.row) for row in found[:limit]
    ]
    return Page(items=items, next=encode_cursor(offset + limit) if len(found) > limit else None)


@router.get("/{name}/versions/{number}/left-out")
def list_left_out(
    home: HomeDep,
    actor: CurrentActor,
    name: Name,
    number: Number,
    step: Annotated[str | None, Query(description="Recipe step; `read` for malformed records")] = None,
    cursor: str = "",
    limit: Limit = 100,
) -> Page[LeftOutModel]:
    """List the source rows that are not in the version, and why."""
    offset = _offset(cursor)
    ref = f"{check_name(name)}@{number}"
    found = list(service.left_out(home, actor, ref, step=step, limit=limit + 1, offset=offset))
    items = [LeftOutModel.model_validate(msgspec.to_builtins(row)) for row in found[:limit]]
    return Page(items=items, next=encode_cursor(offset + limit) if len(found) > limit else None)


def _offset(cursor: str) -> int:
    offset = decode_cursor(cursor, 1)[0] if cursor else 0
    if not isinstance(offset, int) or not 0 <= offset < 1 << 53:
        raise Invalid("The cursor is not valid.", hint="Use the `next` of the page before.")
    return offset
