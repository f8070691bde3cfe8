"""HTTP of checks that read every byte of a version: while the caller waits, or as a job; part of /api/v1/models."""

from fastapi import APIRouter
from pydantic import BaseModel

from penstock.core.http import CurrentActor, HomeDep, WriteUow
from penstock.core.jobs.service import enqueue
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.registry import jobs, paper_service, service
from penstock.registry.governance_api import ManifestVerdict, Name, Number, PapersModel, papers_model

router = APIRouter()
WAITED_FOR = 1 << 30
"""Bytes that are read while the caller waits: a few seconds' work."""


class CheckStarted(BaseModel):
    """The job that does it; see /jobs/{id}."""

    job: str


@router.get("/{name}/versions/{number}/verify")
def verify(home: HomeDep, actor: CurrentActor, name: Name, number: Number) -> ManifestVerdict:
    """Check the signed manifest and read every stored byte, of versions up to 1 GiB; POST does it for all."""
    found = paper_service.verify_files(home, actor, ref=f"{name}@{number}", most=WAITED_FOR)
    return ManifestVerdict(
        signed=found.signed, holds=found.holds, key_id=found.key_id, problems=list(found.problems)
    )


@router.post("/{name}/versions/{number}/verify", status_code=202)
def verify_later(uow: WriteUow, actor: CurrentActor, name: Name, number: Number) -> CheckStarted:
    """Check the signed manifest and read every stored byte in the background; the job's result is the verdict."""
    return _queued(uow, actor, jobs.VERIFY, f"{name}@{number}")


@router.post("/{name}/versions/{number}/scan")
def scan_again(home: HomeDep, actor: CurrentActor, name: Name, number: Number) -> PapersModel:
    """Scan the stored files again, of versions up to 1 GiB; POST …/scan/background does it for all."""
    return papers_model(paper_service.rescan(home, actor, ref=f"{name}@{number}", most=WAITED_FOR))


@router.post("/{name}/versions/{number}/scan/background", status_code=202)
def scan_later(uow: WriteUow, actor: CurrentActor, name: Name, number: Number) -> CheckStarted:
    """Scan the stored files again in the background."""
    uow.may(actor, "models.write", name)
    return _queued(uow, actor, jobs.SCAN, f"{name}@{number}")


def _queued(uow: UnitOfWork, actor: Actor, kind: str, ref: str) -> CheckStarted:
    version = service.get(uow, actor, ref=ref)
    return CheckStarted(job=enqueue(uow, actor, kind, {"ref": version.ref}).id)
