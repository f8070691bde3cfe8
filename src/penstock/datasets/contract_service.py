"""The verbs of expectations and tags."""

import re
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from penstock.core import clock, ids
from penstock.core.deferred import deferred
from penstock.core.errors import Invalid, NotFound
from penstock.core.home import Home
from penstock.core.jobs import Job, enqueue
from penstock.core.scope import Actor, system_actor
from penstock.core.uow import UnitOfWork
from penstock.datasets import service
from penstock.datasets.expectations import Expectations, Verdict, parse
from penstock.datasets.model import DatasetVersion
from penstock.datasets.register import record
from penstock.datasets.store import contracts
from penstock.datasets.store.contracts import CheckRun, Contract, Tag

if TYPE_CHECKING:
    from penstock.datasets import checking
else:
    checking = deferred("penstock.datasets.checking")

CHECK = "datasets.check"
"""Kind of the job that checks a version again."""
_TAG = re.compile(r"[A-Za-z_][A-Za-z0-9._-]{0,63}")


def set_expectations(uow: UnitOfWork, actor: Actor, *, name: str, plain: Mapping[str, Any]) -> Contract:
    """Make `plain` (see expectations.Expectations) what the dataset's rows have to meet from now on.

    Versions that are there stay as they are. Raises NotFound, Invalid.
    """
    uow.may(actor, "datasets.write", name)
    service.find(uow, actor, name=name)
    given = parse(plain)
    checking.validate(given)
    before = contracts.contracts(uow.conn, actor.scope, name)
    contract = Contract(
        dataset=name,
        revision=before[0].revision + 1 if before else 1,
        expectations=given,
        created_at=clock.now(),
        created_by=actor.name,
    )
    contracts.put_contract(uow.conn, actor.scope, contract)
    uow.audit(actor, "datasets.expect", name, revision=contract.revision, checks=len(given.checks))
    return contract


def expectations(uow: UnitOfWork, actor: Actor, *, name: str, limit: int = 1) -> list[Contract]:
    """Return the revisions of the dataset's expectations, newest first; raises NotFound."""
    service.find(uow, actor, name=name)
    return contracts.contracts(uow.conn, actor.scope, name, limit=limit)


def results(
    uow: UnitOfWork, actor: Actor, *, name: str, number: int | None = None, limit: int = 20
) -> list[CheckRun]:
    """Return what became of the expectations, newest first: of one version, or of all and of refused rows."""
    if number is None:
        service.find(uow, actor, name=name)
    else:
        service.resolve(uow, actor, f"{name}@{number}")
    return contracts.list_checks(uow.conn, actor.scope, name, number=number, limit=limit)


def check(home: Home, actor: Actor, ref: str, *, reason: str = "demand") -> CheckRun:
    """Hold a version against the dataset's expectations of today, and write down what became of it.

    Nothing happens to the version. Raises NotFound, Invalid when nothing is expected.
    """
    with home.read() as uow:
        uow.may(actor, "datasets.write", ref)
        version = service.resolve(uow, actor, ref)
        found = contracts.contracts(uow.conn, actor.scope, version.dataset)
    if not found or not found[0].expectations.checks:
        raise Invalid(f"Nothing is expected of {version.dataset}.", hint="Set expectations first.")
    verdict = _look(home, actor, version, found[0].expectations)
    with home.begin() as uow:
        run = record(uow, actor, found[0], verdict, number=version.number, reason=reason)
        uow.audit(actor, "datasets.check", version.ref, state=run.state)
    return run


def _look(home: Home, actor: Actor, version: DatasetVersion, given: Expectations) -> Verdict:
    folder = home.folder("cache", "checks", ids.new_id("chk"))
    try:
        with ExitStack() as stack:
            checker = checking.Checker(given, folder, stack)
            for row in service.stored_rows(home, actor, version.ref):
                checker.accepts(row.position, row.position + 1, row.row)
            checker.repeated()
            return checker.finish(version.schema)
    finally:
        folder.rmdir()


def check_later(uow: UnitOfWork, actor: Actor, ref: str) -> Job:
    """Queue a check of the version; raises NotFound, Invalid when nothing is expected."""
    uow.may(actor, "datasets.write", ref)
    version = service.resolve(uow, actor, ref)
    found = contracts.contracts(uow.conn, actor.scope, version.dataset)
    if not found or not found[0].expectations.checks:
        raise Invalid(f"Nothing is expected of {version.dataset}.", hint="Set expectations first.")
    return enqueue(uow, actor, CHECK, {"ref": version.ref})


def enqueue_due(home: Home) -> list[Job]:
    """Queue a job for every dataset whose newest version has to be checked again by now; returns the jobs."""
    with home.read() as uow:
        planned = contracts.scheduled(uow.conn)
    jobs = []
    for scope, name, hours in planned:
        actor = system_actor(scope)
        with home.begin() as uow:
            versions = service.list_versions(uow, actor, name=name, limit=1)
            if not versions:
                continue
            last = contracts.list_checks(uow.conn, scope, name, number=versions[0].number, limit=1)
            since = last[0].checked_at if last else versions[0].created_at
            if (clock.now() - since).total_seconds() < hours * 3600:
                continue
            # The key lets one job do for all processes that notice.
            spec = {"ref": versions[0].ref, "scheduled": True}
            jobs.append(enqueue(uow, actor, CHECK, spec, key=f"{versions[0].ref} {since.isoformat()}"))
    return jobs


def set_tag(uow: UnitOfWork, actor: Actor, *, name: str, tag: str, number: int) -> Tag:
    """Give version `number` the tag, taking it from the version that had it; raises NotFound, Invalid."""
    uow.may(actor, "datasets.write", name)
    if not _TAG.fullmatch(tag) or tag == "latest":
        raise Invalid(
            f"{tag!r} is not a tag.",
            hint="Use letters, digits, dot, dash and underscore, at most 64, starting with a letter; not latest.",
        )
    version = service.resolve(uow, actor, f"{name}@{number}")
    made = Tag(dataset=name, tag=tag, number=version.number, changed_at=clock.now(), changed_by=actor.name)
    contracts.put_tag(uow.conn, actor.scope, made)
    uow.audit(actor, "datasets.tag", version.ref, tag=tag)
    return made


def remove_tag(uow: UnitOfWork, actor: Actor, *, name: str, tag: str) -> None:
    """Remove a tag; raises NotFound."""
    uow.may(actor, "datasets.write", name)
    if not contracts.drop_tag(uow.conn, actor.scope, name, tag):
        raise NotFound(f"{name} has no tag {tag!r}.")
    uow.audit(actor, "datasets.untag", name, tag=tag)


def tags(uow: UnitOfWork, actor: Actor, *, name: str) -> list[Tag]:
    """Return the dataset's tags by name; raises NotFound."""
    service.find(uow, actor, name=name)
    return contracts.list_tags(uow.conn, actor.scope, name)
