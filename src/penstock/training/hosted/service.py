"""The verbs of fine-tuning at a provider.

The API is OpenAI's (https://platform.openai.com/docs/api-reference/fine-tuning), which others copied: a JSONL file is
uploaded, a job is made on it, and polled until it ends with the tuned model's name.
"""

import io
from collections.abc import Iterator
from typing import Any

import msgspec

from penstock.core import clock, ids
from penstock.core.errors import (
    Conflict,
    Invalid,
    NotFound,
    PenstockError,
    Unavailable,
    Upstream,
    UpstreamTimeout,
)
from penstock.core.home import Home
from penstock.core.lineage import Link
from penstock.core.scope import Actor
from penstock.core.uow import UnitOfWork
from penstock.datasets import service as datasets
from penstock.gateway import direct
from penstock.gateway import service as gateway
from penstock.training import rows as shapes
from penstock.training.hosted import store
from penstock.training.hosted.model import HOSTED_ENDED, HostedJob, HostedPlan, HostedState

LINK_KIND = "hosted_training"
MOST_BYTES = 512 << 20
"""Of one file: what OpenAI takes, and what is held in memory while it is sent."""
_LOOKED_AT = 100
CANCELLING = "cancelling"
_STATUS = {
    "succeeded": HostedState.SUCCEEDED,
    "failed": HostedState.FAILED,
    "cancelled": HostedState.CANCELLED,
}
"""The provider's final words; all others mean that it goes on."""


def start(home: Home, actor: Actor, plan: HostedPlan) -> HostedJob:
    """Take a job on; the background uploads its rows, starts it and follows it.

    Every row is checked first: raises Invalid that names the bad ones, or for too many of them, NotFound for a provider
    or dataset.
    """
    with home.read() as uow:
        uow.may(actor, "training.write", plan.provider)
        gateway.get_provider(uow, actor, plan.provider)
        dataset = datasets.resolve(uow, actor, plan.dataset).ref
    for split in filter(None, (plan.split or "*", plan.validation_split)):
        size = 0
        for line in _lines(home, actor, plan, dataset, "" if split == "*" else split):
            size += len(line)  # each is checked as it is read, and none is kept
        if size > MOST_BYTES:
            raise Invalid(
                f"The file of {dataset} would hold {size >> 20} MiB; a provider takes {MOST_BYTES >> 20} MiB at most.",
                hint="Train on a part of it: name a split, or make a smaller dataset version.",
            )
    job = HostedJob(
        id=ids.new_id("hft"),
        plan=plan,
        dataset=dataset,
        state=HostedState.QUEUED,
        remote={},
        model=None,
        error=None,
        author=actor.name,
        created_at=clock.now(),
        ended_at=None,
    )
    with home.begin() as uow:
        store.insert(uow.conn, actor.scope, job)
        uow.link(actor.scope, (LINK_KIND, job.id), [Link("dataset_version", dataset, "training data")])
        uow.audit(actor, "training.hosted", job.id, provider=plan.provider, model=plan.model)
    return job


def advance(home: Home, actor: Actor, *, job_id: str) -> HostedJob:
    """Take the next step of a job: upload, start, or ask how far it is. Its state is stored after each.

    A provider that cannot be reached, or is busy, is asked again next time; one that refuses ends the job.
    """
    with home.read() as uow:
        job = get(uow, actor, job_id=job_id)
        unwanted = store.cancel_wanted(uow.conn, actor.scope, job_id)
    if job.state in HOSTED_ENDED:
        return job
    try:
        if unwanted and job.remote.get("status") != CANCELLING:
            changes = _cancel(home, actor, job)
        elif job.state is HostedState.QUEUED:
            changes = _upload(home, actor, job)
        elif job.state is HostedState.UPLOADED:
            changes = _create(home, actor, job)
        else:
            changes = _look(home, actor, job)
    except PenstockError as error:
        if _passing(error):
            return job
        changes = {"state": HostedState.FAILED, "error": str(error), "ended_at": clock.now()}
    with home.begin() as uow:
        store.change(uow.conn, actor.scope, job_id, **changes)
        if changes.get("state") in HOSTED_ENDED:
            uow.audit(
                actor,
                "training.hosted_end",
                job_id,
                state=str(changes["state"]),
                model=changes.get("model"),
            )
        return get(uow, actor, job_id=job_id)


def _passing(error: PenstockError) -> bool:
    """Whether it may be better next time: no answer, too many requests, or the provider's own trouble."""
    if isinstance(error, Unavailable | UpstreamTimeout):
        return True
    if not isinstance(error, Upstream):
        return False
    status = error.upstream_status
    return status is None or status == 429 or status >= 500


def _line(row: dict[str, Any], method: str) -> dict[str, Any]:
    if method == "sft":
        return {"messages": [*row["messages"], {"role": "assistant", "content": row["completion"]}]}
    return {
        "input": {"messages": row["messages"]},
        "preferred_output": [{"role": "assistant", "content": row["chosen"]}],
        "non_preferred_output": [{"role": "assistant", "content": row["rejected"]}],
    }


def _lines(home: Home, actor: Actor, plan: HostedPlan, dataset: str, split: str) -> Iterator[bytes]:
    """Yield the lines of the file one by one; raises Invalid at its end when a row was bad."""
    found = datasets.rows(home, actor, dataset, split=split or None)
    for row in shapes.passing(found, method=plan.method, columns=plan.columns):
        yield msgspec.json.encode(_line(row, plan.method)) + b"\n"


def _send_file(home: Home, actor: Actor, job: HostedJob, split: str) -> str:
    edge = f"penstock-{job.id}"
    name = f"{job.dataset.replace('@', '-')}{'-' + split if split else ''}.jsonl"
    body = io.BytesIO()
    head = (
        f'--{edge}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n'
        f'--{edge}\r\ncontent-disposition: form-data; name="file"; filename="{name}"\r\n'
        "content-type: application/jsonl\r\n\r\n"
    )
    body.write(head.encode())
    body.writelines(_lines(home, actor, job.plan, job.dataset, split))
    body.write(f"\r\n--{edge}--\r\n".encode())
    answer = direct.call(
        home,
        actor,
        job.plan.provider,
        "/files",
        method="POST",
        body=body.getvalue(),
        content_type=f"multipart/form-data; boundary={edge}",
    )
    return _text(answer, "id", "the upload")


def _text(answer: Any, key: str, what: str) -> str:
    value = answer.get(key) if isinstance(answer, dict) else None
    if not isinstance(value, str) or not value:
        raise Upstream(f"The provider's answer to {what} has no {key}.", upstream_status=200)
    return value


def _upload(home: Home, actor: Actor, job: HostedJob) -> dict[str, Any]:
    remote = dict(job.remote)
    if "file" not in remote:
        remote["file"] = _send_file(home, actor, job, job.plan.split)
        with home.begin() as uow:
            store.change(uow.conn, actor.scope, job.id, remote=remote)
    if job.plan.validation_split:
        remote["validation_file"] = _send_file(home, actor, job, job.plan.validation_split)
    return {"state": HostedState.UPLOADED, "remote": remote}


def _create(home: Home, actor: Actor, job: HostedJob) -> dict[str, Any]:
    """Start the job, unless it was started before a crash could be told."""
    plan = job.plan
    known = _started(home, actor, job)
    if known is None:
        kind = "supervised" if plan.method == "sft" else "dpo"
        given: dict[str, Any] = {
            "model": plan.model,
            "training_file": job.remote["file"],
            "seed": plan.seed,
            "metadata": {"penstock": job.id},
            "method": {"type": kind, kind: {"hyperparameters": dict(plan.hyperparameters)}},
        }
        if "validation_file" in job.remote:
            given["validation_file"] = job.remote["validation_file"]
        if plan.suffix:
            given["suffix"] = plan.suffix
        body = msgspec.json.encode(given)
        known = direct.call(home, actor, plan.provider, "/fine_tuning/jobs", method="POST", body=body)
    remote = {**job.remote, "job": _text(known, "id", "the job")}
    return {"state": HostedState.RUNNING, "remote": remote}


def _started(home: Home, actor: Actor, job: HostedJob) -> Any:
    listed = direct.call(home, actor, job.plan.provider, f"/fine_tuning/jobs?limit={_LOOKED_AT}")
    found = listed.get("data") if isinstance(listed, dict) else None
    for one in found if isinstance(found, list) else ():
        if isinstance(one, dict) and (one.get("metadata") or {}).get("penstock") == job.id:
            return one
    return None


def _look(home: Home, actor: Actor, job: HostedJob) -> dict[str, Any]:
    answer = direct.call(home, actor, job.plan.provider, f"/fine_tuning/jobs/{job.remote['job']}")
    return _heard(job, answer)


def _heard(job: HostedJob, answer: Any) -> dict[str, Any]:
    status = _text(answer, "status", "the job")
    said = {name: answer[name] for name in ("trained_tokens", "estimated_finish") if answer.get(name)}
    changes: dict[str, Any] = {"remote": {**job.remote, "status": status, **said}}
    state = _STATUS.get(status)
    if state is None:
        return changes
    changes |= {"state": state, "ended_at": clock.now()}
    if state is HostedState.SUCCEEDED:
        changes["model"] = _text(answer, "fine_tuned_model", "the job")
    elif state is HostedState.FAILED:
        fault = answer.get("error")
        said_why = fault.get("message") if isinstance(fault, dict) else fault
        changes["error"] = str(said_why or "The provider gives no reason.")
    return changes


def _cancel(home: Home, actor: Actor, job: HostedJob) -> dict[str, Any]:
    remote = job.remote.get("job") or (_started(home, actor, job) or {}).get("id")
    if not remote:
        return {"state": HostedState.CANCELLED, "ended_at": clock.now()}
    path = f"/fine_tuning/jobs/{remote}"
    try:
        answer = direct.call(home, actor, job.plan.provider, f"{path}/cancel", method="POST", body=b"{}")
    except PenstockError as error:
        if _passing(error):
            raise
        # A job that has ended meanwhile cannot be cancelled: it counts as what it is.
        answer = direct.call(home, actor, job.plan.provider, path)
    changes = _heard(job, answer)
    if "state" not in changes:
        changes["remote"]["status"] = CANCELLING
    return changes


def get(uow: UnitOfWork, actor: Actor, *, job_id: str) -> HostedJob:
    """Return a job; raises NotFound."""
    uow.may(actor, "training.read", job_id)
    found = store.by_id(uow.conn, actor.scope, job_id)
    if found is None:
        raise NotFound(f"There is no hosted job {job_id!r} in the project {actor.scope.project!r}.")
    return found


def list_jobs(
    uow: UnitOfWork, actor: Actor, *, before: str | None = None, limit: int = 100
) -> list[HostedJob]:
    """Return jobs, newest first, with ids below `before`."""
    uow.may(actor, "training.read")
    return store.page(uow.conn, actor.scope, before=before, limit=limit)


def cancel(uow: UnitOfWork, actor: Actor, *, job_id: str) -> HostedJob:
    """Ask to cancel a job; raises NotFound, Conflict when it has ended."""
    uow.may(actor, "training.write", job_id)
    job = get(uow, actor, job_id=job_id)
    if job.state in HOSTED_ENDED:
        raise Conflict(f"The job has ended already ({job.state}).")
    store.change(uow.conn, actor.scope, job_id, wish="cancel")
    uow.audit(actor, "training.hosted_cancel", job_id)
    return get(uow, actor, job_id=job_id)
