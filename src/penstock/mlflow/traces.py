"""MLflow's traces over Penstock's: spans live in traces, the client's note about them here."""

from dataclasses import replace

import msgspec

from penstock.core.errors import Invalid, NotFound
from penstock.core.uow import UnitOfWork
from penstock.mlflow import spans, trace_info
from penstock.mlflow.call import Answer, Call
from penstock.mlflow.experiments import default_id, own_id
from penstock.mlflow.model import PROMPTS_TAG, RUN_KEY, TraceNote, own_trace
from penstock.mlflow.routing import Routes
from penstock.mlflow.store import notes
from penstock.mlflow.trace_search import Query, Search
from penstock.traces import service as traces
from penstock.traces.model import TraceSummary

routes = Routes()
MAX_BATCH = 500
_MOST_DELETED = 100_000


@routes.on("POST 3 /traces")
def start(call: Call) -> Answer:
    """Take in what the client tells about a trace when it ends."""
    given = (call.args.get("trace") or {}).get("trace_info")
    if not isinstance(given, dict):
        raise Invalid("Missing value for the required parameter 'trace.trace_info'.")
    note = trace_info.parse(call, given)
    with call.home.begin() as uow:
        uow.may(call.actor, "traces.call", note.trace_id)
        held = notes.notes_of(uow.conn, call.actor.scope, [note.trace_id]).get(note.trace_id)
        if held is not None:  # tags may have been set while the trace was running
            note = replace(
                note,
                tags=held.tags | note.tags,
                metadata=held.metadata | note.metadata,
            )
        notes.put_note(uow.conn, call.actor.scope, trace_info.to_apply(note, held))
        if run := note.metadata.get(RUN_KEY):
            notes.link_run(uow.conn, call.actor.scope, run[:40], [note.trace_id])
        default = default_id(uow, call)
    trace_info.enrich(call.home, call.actor, note.trace_id)
    return {"trace": {"trace_info": trace_info.render(note, default, [])}}


def _summary(uow: UnitOfWork, call: Call, trace_id: str) -> TraceSummary | None:
    try:
        return traces.get_summary(uow, call.actor, trace_id=trace_id)
    except NotFound:
        return None


def info_of(uow: UnitOfWork, call: Call, trace_id: str) -> TraceNote:
    """Return what is known of a trace; raises NotFound."""
    note = notes.notes_of(uow.conn, call.actor.scope, [trace_id]).get(trace_id)
    if note is not None and note.told:
        uow.may(call.actor, "traces.read", trace_id)
        return note
    summary = _summary(uow, call, trace_id)
    if summary is None:
        raise NotFound(f"Trace with ID 'tr-{trace_id}' not found.")
    return trace_info.complete(note or trace_info.blank(trace_id, ""), summary)


def _infos(call: Call, shown: list[str], *, with_spans: bool) -> list[Answer]:
    if len(shown) > MAX_BATCH:
        raise Invalid(f"One request may ask for {MAX_BATCH} traces; this one asks for {len(shown)}.")
    found = []
    with call.home.read() as uow:
        default = default_id(uow, call)
        ids = [own_trace(one) for one in shown]
        judged = notes.assessments_of(uow.conn, call.actor.scope, ids)
        for trace_id in ids:
            try:
                note = info_of(uow, call, trace_id)
            except NotFound:
                continue
            answer: Answer = {"trace_info": trace_info.render(note, default, judged[trace_id])}
            if with_spans:
                answer["spans"] = _spans(uow, call, trace_id)
            found.append(answer)
    return found


def _spans(uow: UnitOfWork, call: Call, trace_id: str) -> list[Answer]:
    try:
        return [spans.render(span) for span in traces.spans_of(uow, call.actor, trace_id=trace_id)]
    except NotFound:
        return []  # the note came first


def _one(call: Call, *, with_spans: bool) -> Answer:
    shown = call.needed("trace_id", "request_id")
    found = _infos(call, [shown], with_spans=with_spans)
    if not found:
        raise NotFound(f"Trace with ID '{shown}' not found.")
    return found[0]


@routes.on("GET 3 /traces/get")
def get(call: Call) -> Answer:
    """Return a trace with its spans."""
    return {"trace": _one(call, with_spans=True)}


@routes.on("GET 3 /traces/batchGet")
def batch_get(call: Call) -> Answer:
    """Return several traces with their spans; those that are not there are left out."""
    return {"traces": _infos(call, call.texts("trace_ids"), with_spans=True)}


@routes.on("POST 3 /traces/batchGetInfos", "GET 3 /traces/batchGetInfos")
def batch_get_infos(call: Call) -> Answer:
    """Return several traces without their spans."""
    found = _infos(call, call.texts("trace_ids"), with_spans=False)
    return {"trace_infos": [one["trace_info"] for one in found]}


@routes.on("GET 3 /traces/{trace_id}")
def get_info(call: Call) -> Answer:
    """Return a trace without its spans."""
    return {"trace": _one(call, with_spans=False)}


@routes.on("GET /traces/{trace_id}/info")
def get_info_v2(call: Call) -> Answer:
    """Return a trace without its spans, for clients of MLflow 2."""
    return {"trace": _one(call, with_spans=False)}


@routes.on("GET !/api/2.0/mlflow/get-trace-artifact", "GET !/get-trace-artifact")
def artifact(call: Call) -> Answer:
    """Return the spans as the artifact that older clients read."""
    return {"spans": _one(call, with_spans=True)["spans"]}


def _locations(call: Call) -> list[str]:
    found = [
        str((one.get("mlflow_experiment") or {}).get("experiment_id") or "")
        for one in call.objects("locations")
    ]
    return [own_id(call, one) for one in found or call.texts("experiment_ids") if one]


@routes.on("POST 3 /traces/search")
def search(call: Call) -> Answer:
    """Search traces of experiments."""
    experiments = _locations(call)
    if not experiments:
        raise Invalid("Name at least one experiment in `locations`.")
    with call.home.read() as uow:
        default = default_id(uow, call)
    query = Query.parse(
        experiments,
        default,
        call.text("filter"),
        order_by=call.texts("order_by"),
        limit=max(1, min(call.number("max_results", 100), MAX_BATCH)),
        token=call.text("page_token"),
    )
    found, following = Search(call.home, call.actor, query).run()
    answer: Answer = {
        "traces": [trace_info.render(one.note, default, list(one.assessments)) for one in found]
    }
    return answer | {"next_page_token": following} if following else answer


@routes.on("PATCH /traces/{trace_id}/tags")
def set_tag(call: Call) -> Answer:
    """Set a tag."""
    return _tag(call, {call.needed("key"): call.text("value")})


@routes.on("DELETE /traces/{trace_id}/tags")
def delete_tag(call: Call) -> Answer:
    """Remove a tag."""
    return _tag(call, {call.needed("key"): None})


def _tag(call: Call, changes: dict[str, str | None]) -> Answer:
    trace_id = own_trace(call.needed("trace_id"))
    with call.home.begin() as uow:
        uow.may(call.actor, "traces.write", trace_id)
        note = info_of(uow, call, trace_id)
        tags = dict(note.tags)
        for key, value in changes.items():
            if value is not None:
                tags[key[:250]] = value[:200_000]
            elif tags.pop(key, None) is None:
                raise NotFound(f"The trace 'tr-{trace_id}' has no tag {key!r}.")
        changed = trace_info.to_apply(replace(note, tags=tags), note)
        notes.put_note(uow.conn, call.actor.scope, changed)
    trace_info.enrich(call.home, call.actor, trace_id)
    return {}


@routes.on("POST /traces/link-to-run")
def link_to_run(call: Call) -> Answer:
    """Remember that traces belong to a run."""
    ids = [own_trace(one) for one in call.texts("trace_ids")]
    if len(ids) > MAX_BATCH:
        raise Invalid(f"One request may link {MAX_BATCH} traces.")
    with call.home.begin() as uow:
        uow.may(call.actor, "traces.write", call.needed("run_id"))
        notes.link_run(uow.conn, call.actor.scope, call.needed("run_id")[:40], ids)
    return {}


@routes.on("POST /traces/link-prompts")
def link_prompts(call: Call) -> Answer:
    """Remember which prompt versions a trace used."""
    linked = [
        {"name": str(one.get("name")), "version": str(one.get("version"))}
        for one in call.objects("prompt_versions")
    ]
    return _tag(call, {PROMPTS_TAG: msgspec.json.encode(linked).decode()})


@routes.on("POST /traces/delete-traces")
def delete(call: Call) -> Answer:
    """Delete traces by id, or the oldest of an experiment; needs the role admin."""
    experiment = own_id(call, call.needed("experiment_id"))
    ids = [own_trace(one) for one in call.texts("request_ids") or call.texts("trace_ids")]
    until = call.number("max_timestamp_millis", 0)
    if not ids and not until:
        raise Invalid("Name the traces to delete, or `max_timestamp_millis`.")
    with call.home.read() as uow:
        uow.may(call.actor, "traces.admin", experiment)
        most = call.number("max_traces", _MOST_DELETED)
        scope = call.actor.scope
        found = ids or notes.trace_ids(uow.conn, scope, experiment_id=experiment, until_ms=until, limit=most)
    pace, gone = traces.Pace(), 0
    for one in found:
        pace.rest()
        gone += _delete(call, one)
    return {"traces_deleted": gone}


def _delete(call: Call, trace_id: str) -> int:
    """Delete a trace and then its note, by which it is found again when this was interrupted."""
    try:
        traces.delete_trace(call.home, call.actor, trace_id=trace_id)
        deleted = True
    except NotFound:
        deleted = False
    with call.home.begin() as uow:
        noted = notes.remove_note(uow.conn, call.actor.scope, trace_id)
    return int(deleted or noted)
