"""MLflow's assessments over feedback: kept as sent, with a twin in the feedback slice where it has such a judgement.

Numbers, truth values and yes/no become scores of the same name, other texts comments, the expectation
`expected_response` a correction. What feedback has no form for (lists, objects, errors) is kept for MLflow alone.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from penstock.core import clock, ids
from penstock.core.errors import Invalid, NotFound
from penstock.core.uow import UnitOfWork
from penstock.feedback import service as feedback
from penstock.mlflow.call import Answer, Call
from penstock.mlflow.model import Assessment, own_trace, shown_trace
from penstock.mlflow.routing import Routes
from penstock.mlflow.store import notes
from penstock.mlflow.trace_search import value_of

routes = Routes()
KINDS = ("feedback", "expectation", "issue")
EXPECTED = "expected_response"
_SPAN_ID = re.compile(r"[0-9a-f]{16}")
_SAID = {"yes": 1.0, "no": 0.0}
_CAMEL = re.compile(r"([A-Z])")
_MAX_TEXT = 200_000


def _source(body: Mapping[str, Any]) -> str:
    said = body.get("source") or {}
    kind, name = str(said.get("source_type") or ""), str(said.get("source_id") or "")
    prefix = {"HUMAN": "reviewer", "LLM_JUDGE": "judge", "AI_JUDGE": "judge", "CODE": "code"}.get(
        kind, "user"
    )
    return f"{prefix}:{name}"[:100] if name and name != "default" else prefix


def _slug(name: str) -> str:
    found = re.sub(r"[^a-z0-9_.-]", "_", name.lower())[:64]
    return found if found[:1].isalpha() else f"x_{found}"[:64]


def twin(name: str, body: Mapping[str, Any]) -> tuple[str, Any] | None:
    """Return (name, value) of the judgement in feedback that says the same, or None."""
    value = value_of(Assessment(id="", trace_id="", name=name, body=dict(body)))
    if "expectation" in body:
        fits = name == EXPECTED and isinstance(value, str) and 0 < len(value.strip()) <= _MAX_TEXT
        return ("correction", value) if fits else None
    if isinstance(value, str) and value.lower() in _SAID:
        value = _SAID[value.lower()]
    if isinstance(value, bool | int | float):
        number, slug = float(value), _slug(name)
        if slug == "thumb":
            return slug, bool(number)
        return (f"{slug}_score" if slug in ("correction", "comment", "preference") else slug), number
    if isinstance(value, str) and len(value.strip()) > 0 and len(value) + len(name) < _MAX_TEXT:
        return "comment", f"{name}: {value}"
    return None


def _mirrored(uow: UnitOfWork, call: Call, one: Assessment) -> Assessment:
    """Return the assessment after its twin in feedback was made anew."""
    if one.feedback_id:
        feedback.withdraw(uow, call.actor, id=one.feedback_id)
    found = twin(one.name, one.body) if one.body.get("valid", True) else None
    if found is None:
        return replace(one, feedback_id="")
    span_id = str(one.body.get("span_id") or "")
    given = feedback.give(
        uow,
        call.actor,
        trace_id=one.trace_id,
        span_id=span_id if _SPAN_ID.fullmatch(span_id) else None,
        name=found[0],
        value=found[1],
        comment=str(one.body.get("rationale") or "")[:20_000],
        source=_source(one.body),
    )
    return replace(one, feedback_id=given.id)


def _find(uow: UnitOfWork, call: Call) -> Assessment:
    trace_id, wanted = own_trace(call.needed("trace_id")), call.needed("assessment_id")
    uow.may(call.actor, "feedback.read", trace_id)
    for one in notes.assessments_of(uow.conn, call.actor.scope, [trace_id])[trace_id]:
        if one.id == wanted:
            return one
    raise NotFound(f"Assessment with ID '{wanted}' not found for trace '{call.text('trace_id')}'.")


def _given(call: Call) -> dict[str, Any]:
    given = call.args.get("assessment")
    if not isinstance(given, dict):
        raise Invalid("Missing value for the required parameter 'assessment'.")
    return given


@routes.on("POST 3 /traces/{trace_id}/assessments")
def create(call: Call) -> Answer:
    """Record feedback or an expectation."""
    given, trace_id = _given(call), own_trace(call.needed("trace_id"))
    name = str(given.get("assessment_name") or "")
    if not name or len(name) > 250 or not any(kind in given for kind in KINDS):
        raise Invalid("An assessment needs a name (250 characters at most) and feedback or an expectation.")
    now = clock.iso(clock.now())
    assessment_id = "a-" + ids.new_id("asm").removeprefix("asm_")
    body = {"create_time": now, "last_update_time": now, "valid": True} | given
    body |= {"assessment_id": assessment_id, "trace_id": shown_trace(trace_id)}
    one = Assessment(id=assessment_id, trace_id=trace_id, name=name, body=body)
    with call.home.begin() as uow:
        uow.may(call.actor, "feedback.write", trace_id)
        if overridden := given.get("overrides"):
            _invalidate(uow, call, trace_id, str(overridden))
        one = _mirrored(uow, call, one)
        notes.put_assessment(uow.conn, call.actor.scope, one)
    return {"assessment": one.body}


def _invalidate(uow: UnitOfWork, call: Call, trace_id: str, assessment_id: str) -> None:
    for one in notes.assessments_of(uow.conn, call.actor.scope, [trace_id])[trace_id]:
        if one.id == assessment_id:
            old = _mirrored(uow, call, replace(one, body=one.body | {"valid": False}))
            notes.put_assessment(uow.conn, call.actor.scope, old)
            return
    raise NotFound(f"There is no assessment {assessment_id!r} to override.")


@routes.on("GET 3 /traces/{trace_id}/assessments/{assessment_id}")
def get(call: Call) -> Answer:
    """Return an assessment."""
    with call.home.read() as uow:
        return {"assessment": _find(uow, call).body}


@routes.on("PATCH 3 /traces/{trace_id}/assessments/{assessment_id}")
def update(call: Call) -> Answer:
    """Change the fields that the mask names."""
    given, mask = _given(call), call.args.get("update_mask") or ""
    paths = mask.get("paths", []) if isinstance(mask, dict) else str(mask).split(",")
    fields = {_CAMEL.sub(lambda found: "_" + found.group().lower(), str(path)) for path in paths if path}
    unknown = fields - {"assessment_name", "feedback", "expectation", "rationale", "metadata", "valid"}
    if unknown:
        raise Invalid(f"These fields of an assessment cannot be changed: {', '.join(sorted(unknown))}.")
    with call.home.begin() as uow:
        uow.may(call.actor, "feedback.write", call.needed("trace_id"))
        one = _find(uow, call)
        body = dict(one.body)
        for field in fields:
            said = given.get(field)
            body[field] = (body.get("metadata") or {}) | (said or {}) if field == "metadata" else said
        body["last_update_time"] = clock.iso(clock.now())
        one = replace(one, name=str(body["assessment_name"]), body=body)
        one = _mirrored(uow, call, one)
        notes.put_assessment(uow.conn, call.actor.scope, one)
    return {"assessment": one.body}


@routes.on("DELETE 3 /traces/{trace_id}/assessments/{assessment_id}")
def delete(call: Call) -> Answer:
    """Remove an assessment and its twin in feedback."""
    with call.home.begin() as uow:
        uow.may(call.actor, "feedback.write", call.needed("trace_id"))
        one = _find(uow, call)
        if one.feedback_id:
            feedback.withdraw(uow, call.actor, id=one.feedback_id)
        notes.remove_assessment(uow.conn, call.actor.scope, one)
    return {}
