"""HTTP of keeping, under /api/v1/traces: policies, erase, redact, import, and downloads."""

import shutil
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import FileResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from penstock.core import ids
from penstock.core.errors import Invalid
from penstock.core.home import Home
from penstock.core.http import CurrentActor, HomeDep, PatientRead, ReadUow, WriteUow
from penstock.core.http.upload import save_upload
from penstock.core.scope import Actor
from penstock.core.settings import ServerSettings
from penstock.traces import exporter, policy_service, redaction, service, uploads
from penstock.traces.exporter import MEDIA_TYPES, ExportFormat
from penstock.traces.model import TraceFilters
from penstock.traces.policy import Stored
from penstock.traces.settings import TracesSettings
from penstock.traces.uploads import Upload

router = APIRouter(prefix="/traces")


class Strict(BaseModel):
    """Refuses what it does not know."""

    model_config = ConfigDict(extra="forbid")


class RetentionModel(Strict):
    """How long traces stay; null takes the setting, 0 keeps all."""

    days: int | None = Field(default=None, ge=0)
    traces: int | None = Field(default=None, ge=0)


class KeepModel(Strict):
    """Traces that are kept whatever the rate says: each condition that is given suffices."""

    errors: bool = False
    slower_than_ms: float | None = None
    costlier_than_usd: float | None = None
    scores_below: dict[str, float] = {}
    judged: bool = Field(default=False, description="Somebody gave feedback, or a score was recorded")


class SamplingModel(Strict):
    """Which share of some traces is kept."""

    name: str = Field(min_length=1, max_length=80)
    rate: float = Field(ge=0, le=1, description="Share that stays, chosen by trace id")
    where: dict[str, str] = Field(default={}, description="Conditions that some span must meet, all of them")
    keep: KeepModel | None = None


class PatternModel(Strict):
    """Text that matches an RE2 expression is replaced."""

    name: str = Field(min_length=1, max_length=80)
    pattern: str = Field(min_length=1, max_length=2000)
    replacement: str | None = Field(default=None, description="Default: [NAME]")


class KeyModel(Strict):
    """What becomes of values under keys."""

    key: str = Field(min_length=1, max_length=200, description="Name with * and ?, any case")
    action: Literal["drop", "hash", "mask"] = "drop"


class MaskingModel(Strict):
    """What is taken out of spans before they are stored."""

    detectors: dict[str, dict[str, Any]] = Field(
        default={}, description="Plug-in of `penstock.maskers` and its options"
    )
    patterns: list[PatternModel] = []
    keys: list[KeyModel] = []


class PoliciesModel(Strict):
    """Everything a project decided about keeping its traces."""

    retention: RetentionModel = RetentionModel()
    sampling: list[SamplingModel] = Field(default=[], description="The first rule that applies decides")
    masking: MaskingModel = MaskingModel()


class LetGoModel(BaseModel):
    """Traces that policies removed on one day (UTC); their sums stayed."""

    day: str
    reason: str
    traces: int
    spans: int


class StoredModel(BaseModel):
    """The project's policies, what holds by them and the settings together, and what they removed."""

    policies: PoliciesModel
    effective: RetentionModel
    updated_at: datetime | None
    updated_by: str | None
    let_go: list[LetGoModel]


class EraseModel(Strict):
    """Whose traces to erase: one of the three."""

    user: str | None = None
    session: str | None = None
    trace_ids: list[str] = Field(default=[], max_length=10_000)
    dry_run: bool = False
    wait_seconds: float = Field(
        default=5, ge=0, le=600, description="How long to wait until all is gone; it is hidden in any case"
    )


class ErasedModel(BaseModel):
    """What was erased, or would be."""

    traces: int
    spans: int
    logs: int = Field(
        description="Log records that name the user or session and belong to none of these traces"
    )
    left: int = Field(
        default=0,
        description="Traces of the project that nobody finds any more and whose rows are still being deleted",
    )
    dry_run: bool


class RedactModel(Strict):
    """What to take out of which traces."""

    filters: dict[str, Any] | None = Field(default=None, description="As in the list of traces; {} means all")
    query: str | None = Field(default=None, description="Which traces, in the query language")
    trace_ids: list[str] = Field(default=[], max_length=10_000)
    fields: list[str] = Field(default=[], description="Keys whose values become [MASKED]")
    detectors: dict[str, dict[str, Any]] = {}
    patterns: list[PatternModel] = []
    keys: list[KeyModel] = []
    dry_run: bool = False
    background: bool = Field(default=False, description="As a job, whose result has the counts")


class RedactedModel(BaseModel):
    """What was looked at and changed, or would be."""

    looked_at: int = Field(default=0, description="Traces")
    traces: int = 0
    spans: int = 0
    dry_run: bool
    job: str | None = Field(default=None, description="The job to follow; null when all is done")


class ProblemModel(BaseModel):
    """A row that was set aside."""

    line: int
    reason: str
    excerpt: str


class ImportedModel(BaseModel):
    """What an import did; of a large file the job that does it, whose result has the same fields."""

    rows: int = 0
    spans: int = 0
    traces: int = 0
    scores: int = Field(default=0, description="Scores that came apart from their traces")
    quarantined: int = 0
    problems: list[ProblemModel] = Field(
        default=[], description="The first 1,000 of the rows that were set aside"
    )
    job: str | None = Field(default=None, description="The job to follow; null when all is done")


class ImportQuery(Strict):
    """What the body is."""

    format: Literal["langfuse", "phoenix", "mlflow", "jsonl", "parquet"]
    project: str | None = Field(default=None, description="Project to work in; default: the key's own")


def _stored(uow: ReadUow, actor: Actor, stored: Stored) -> StoredModel:
    effective = policy_service.effective(uow.home, stored.policies)
    return StoredModel(
        policies=PoliciesModel(**msgspec.to_builtins(stored.policies)),
        effective=RetentionModel(days=effective.days, traces=effective.traces),
        updated_at=stored.updated_at,
        updated_by=stored.updated_by,
        let_go=[LetGoModel(**msgspec.structs.asdict(row)) for row in service.let_go(uow, actor)],
    )


@router.get("/policies")
def get_policies(uow: ReadUow, actor: CurrentActor) -> StoredModel:
    """Show what the project keeps, samples and masks, and what was let go by that."""
    return _stored(uow, actor, service.get_policies(uow, actor))


@router.put("/policies")
def put_policies(uow: WriteUow, actor: CurrentActor, given: PoliciesModel) -> StoredModel:
    """Set all policies of the project at once; what is not named becomes the default."""
    return _stored(uow, actor, service.put_policies(uow, actor, given.model_dump()))


@router.post(
    "/erase",
    responses={
        202: {"model": ErasedModel, "description": "Hidden: nobody finds them, the rest is being deleted"}
    },
)
def erase(home: HomeDep, actor: CurrentActor, given: EraseModel, response: Response) -> ErasedModel:
    """Delete everything of a user, a session, or the traces named; sums of the project stay, without the name.

    Erased means that nothing of them is in any table any more. What takes longer than `wait_seconds` is hidden at once
    and `left` to the background: the answer is 202 then, and asking again says how many are left.
    """
    done = service.erase_traces(
        home,
        actor,
        user=given.user,
        session=given.session,
        trace_ids=given.trace_ids,
        dry_run=given.dry_run,
        seconds=given.wait_seconds,
    )
    if done.left:
        response.status_code = 202
    return ErasedModel(**done._asdict(), dry_run=given.dry_run)


@router.post("/redact")
async def redact(
    reader: PatientRead, home: HomeDep, actor: CurrentActor, given: RedactModel
) -> RedactedModel:
    """Take something out of stored traces, for good; a dry run takes `[traces] query_seconds` at most."""
    keys = [*given.keys, *(KeyModel(key=key, action="mask") for key in given.fields)]
    masking = MaskingModel(detectors=given.detectors, patterns=given.patterns, keys=keys).model_dump()
    wanted: dict[str, Any] = {
        "masking": masking,
        "filters": _filters(given.filters, given.query),
        "trace_ids": given.trace_ids,
    }
    if given.dry_run:
        seconds = home.settings.section(TracesSettings).query_seconds
        done = await reader.stopping(
            lambda stop: service.redact_traces(
                home, actor, **wanted, dry_run=True, seconds=seconds, stop=stop
            )
        )
    elif given.background:
        return RedactedModel(dry_run=False, job=await run_in_threadpool(_queued, home, actor, wanted))
    else:
        done = await run_in_threadpool(lambda: service.redact_traces(home, actor, **wanted))
    return RedactedModel(**done._asdict(), dry_run=given.dry_run)


def _queued(home: Home, actor: Actor, wanted: dict[str, Any]) -> str:
    with home.begin() as uow:
        return redaction.start(uow, actor, **wanted).id


def _filters(filters: dict[str, Any] | None, query: str | None) -> TraceFilters | None:
    if filters is None and query is None:
        return None
    known = set(TraceFilters.__struct_fields__)
    given = dict(filters or {}) | ({"query": query} if query else {})
    unknown = sorted(set(given) - known)
    if unknown:
        raise Invalid(f"There is no filter {unknown[0]!r}.", hint=f"Use {', '.join(sorted(known))}.")
    try:
        return msgspec.convert(given, TraceFilters)
    except msgspec.ValidationError as error:
        raise Invalid(f"The filters cannot be read: {error}.") from error


@router.post(
    "/import",
    responses={202: {"model": ImportedModel, "description": "Queued: the job imports the file"}},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def import_traces(
    request: Request,
    response: Response,
    home: HomeDep,
    actor: CurrentActor,
    query: Annotated[ImportQuery, Query()],
) -> ImportedModel:
    """Import the body, a file that another program exported; broken rows are set aside, a large file becomes a job."""
    await run_in_threadpool(_may_import, home, actor)
    upload = Upload(file=ids.new_id("upl"), format=query.format)
    path = uploads.folder(home) / upload.file
    queued = False
    try:
        limit = home.settings.section(ServerSettings).max_upload_mb
        size = await save_upload(request.stream(), path, limit, instead="penstock traces import")
        if size > home.settings.section(TracesSettings).inline_import_mb << 20:
            job = await run_in_threadpool(uploads.start, home, actor, upload)
            queued = True
            response.status_code = 202
            return ImportedModel(job=job.id)
        done = await run_in_threadpool(service.import_traces, home, actor, source=path, format=query.format)
    finally:
        if not queued:
            path.unlink(missing_ok=True)
    return ImportedModel(**msgspec.to_builtins(done))


def _may_import(home: Home, actor: Actor) -> None:
    with home.read() as uow:
        uow.may(actor, "traces.write", "import")


def download(home: Home, actor: Actor, filters: TraceFilters, format: ExportFormat) -> Response:
    """Return the answer that carries the spans of all matching traces."""
    with home.read() as uow:
        uow.may(actor, "traces.read")
    media, ending = MEDIA_TYPES[format]
    found = service.export_spans(home, actor, filters=filters)
    if format != "parquet":
        headers = {"content-disposition": f'attachment; filename="traces.{ending}"'}
        return StreamingResponse(_begun(exporter.pieces(found, format)), media_type=media, headers=headers)
    # Parquet ends with its table of contents: the file is made first, then sent.
    folder = home.folder("exports", ids.new_id("exp"))
    try:
        exporter.write(found, format, folder / "traces.parquet")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    done = BackgroundTask(shutil.rmtree, folder, ignore_errors=True)
    return FileResponse(
        folder / "traces.parquet", media_type=media, filename=f"traces.{ending}", background=done
    )


def _begun(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Return `pieces` with the first one made already, so that a wrong query is answered by its error."""
    first = next(pieces, b"")

    def all_of_them() -> Iterator[bytes]:
        yield first
        yield from pieces

    return all_of_them()
