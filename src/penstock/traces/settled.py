"""The smaller facts of a span, settled from what its dialect says: models, errors, people, parameters, verdicts."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from penstock.traces import dialects, documents
from penstock.traces.documents import Event
from penstock.traces.model import Evaluation, Kind, SpanRecord, Status
from penstock.traces.reading import Reading

SESSION_KEYS = ("session_id", "thread_id", "conversation_id", "langfuse_session_id", "sessionId")
USER_KEYS = ("user_id", "langfuse_user_id", "userId")
"""Where a span's metadata may name its session or user when nothing else does (LangGraph's `thread_id`)."""

_NO_SERVICE = "unknown_service"
_MOST_ID = 200


class _Head(msgspec.Struct):
    """What a recorded request or response of an API says of itself."""

    id: Any = None
    model: Any = None
    response_id: Any = msgspec.field(default=None, name="responseId")


_head = msgspec.json.Decoder(_Head)
_NOTHING = _Head()


def _head_of(reading: Reading, name: str) -> _Head:
    """Return the head of the API's own object, where the instrumentation keeps one as a plain document."""
    value = reading.value(name)
    if not isinstance(value, str) or value[:1] != "{":
        return _NOTHING
    try:
        return _head.decode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _NOTHING


def models(reading: Reading, kind: Kind) -> tuple[str | None, str | None]:
    """Return (model that answered, model that was asked for)."""
    requested = reading.text("requested_model")
    model = reading.text("model")
    if kind == "llm" and requested is None:
        said = documents.as_object(reading.value("settings")).get("model")
        if not isinstance(said, str) and model is None:
            said = _head_of(reading, "input").model  # a failed call names its model only in what was sent
        requested = said if isinstance(said, str) and said else None
    return model or requested, requested


def provider(reading: Reading) -> str | None:
    """Return the provider under its one name; the name that was sent is kept where it differs."""
    said = reading.text("provider")
    if said is None:
        return None
    found = dialects.normalised(said)
    if found != said:
        reading.rest[reading.key("provider")] = said
    return found


def status(reading: Reading, said: Status) -> Status:
    """Return the status: some instrumentations leave OpenTelemetry's unset and say elsewhere that a call failed."""
    if said != "unset":
        return said
    failed = reading.text("level") == "ERROR" or reading.key("error") in ("error.type", "error.message")
    return "error" if failed else said


def error(reading: Reading, found: Status, message: str, events: Sequence[Event]) -> str | None:
    """Return what went wrong: the exception, then the status, then the error's type."""
    said = _failure(reading, found, message, events)
    kind = reading.text("error")
    if kind is not None and kind not in (said or ""):
        reading.rest[reading.key("error")] = kind
    return said


def _failure(reading: Reading, found: Status, message: str, events: Sequence[Event]) -> str | None:
    if found != "error":
        return None
    for name, _, attributes in events:
        if name in dialects.EXCEPTION_EVENTS:
            parts = (attributes.get("exception.type"), attributes.get("exception.message"))
            said = ": ".join(str(part) for part in parts if part)
            if said:
                return said
    return message or reading.text("error")


def details(reading: Reading, kind: Kind) -> dict[str, Any]:
    """Return those fields of a SpanRecord that most spans leave empty, as far as this one has them."""
    fields, keyed = reading.values, reading.keyed
    found: dict[str, Any] = {}
    if kind in ("llm", "embedding"):
        found["response_id"] = response_id(reading)
    if "finish" in fields:
        found["finish_reasons"] = finish_reasons(reading)
    if keyed["parameters"] or "settings" in fields or "stream" in fields:
        found["parameters"] = parameters(reading)
    if "prompt_name" in fields:
        found["prompt"] = prompt(reading)
    if "tags" in fields:
        found["tags"] = tags(reading)
    if "agent" in fields:
        found["agent"] = reading.text("agent")
    if "tool" in fields and kind == "tool":
        found["tool"] = reading.text("tool")
    if "tools" in fields or "settings" in fields or reading.lists:
        found["tools"] = tools(reading)
    return found


def response_id(reading: Reading) -> str | None:
    """Return what the provider calls its answer, also from the answer itself where only that was recorded."""
    found = reading.text("response_id")
    if found is None:
        head = _head_of(reading, "output")
        found = next((one for one in (head.id, head.response_id) if isinstance(one, str)), None)
    return found[:_MOST_ID] if found else None


def named(span: SpanRecord) -> SpanRecord:
    """Return a recorded call with its answer's name, which it takes from the answer itself."""
    if span.kind != "llm" or span.response_id is not None or not span.output or span.output[:1] != b"{":
        return span
    try:
        head = _head.decode(span.output)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return span
    found = next((one for one in (head.id, head.response_id) if isinstance(one, str) and one), None)
    return span if found is None else msgspec.structs.replace(span, response_id=found[:_MOST_ID])


def finish_reasons(reading: Reading) -> tuple[str, ...]:
    """Return why the model stopped, one per choice."""
    value = documents.parsed(reading.value("finish"))
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(str(one) for one in value if one is not None) if isinstance(value, list) else ()


def parameters(reading: Reading) -> dict[str, Any]:
    """Return what the model was told beside messages and tools; numbers as numbers, `Infinity` as nothing."""
    found = dict(reading.keyed["parameters"])
    settings = documents.as_object(reading.value("settings"))
    for name, value in settings.items():
        if name not in _NO_PARAMETERS:
            found.setdefault(name, value)
    stream = reading.value("stream")
    if stream is not None:
        found["stream"] = stream
    return {name: value for name, said in found.items() if (value := _plain(said)) is not None}


_NO_PARAMETERS = frozenset({"model", "messages", "tools", "functions", "input", "system", "function_tools"})


def _plain(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value in ("Infinity", "None", "null", ""):
        return None
    if value[:1] in "-0123456789":
        try:
            return int(value) if value.lstrip("-").isdigit() else float(value)
        except ValueError:
            return value
    return {"true": True, "false": False}.get(value.lower(), documents.parsed(value))


def tools(reading: Reading) -> list[Any]:
    """Return the definitions of the tools the model could call."""
    value = documents.parsed(reading.value("tools"))
    if value is None:
        value = reading.listed("tools")
    if value is None:
        value = documents.as_object(reading.value("settings")).get("function_tools")
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list):
        return []
    return [_definition(documents.parsed(one)) for one in value]


def _definition(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"json_schema"}:
        value = value["json_schema"]
    if isinstance(value, dict) and isinstance(value.get("parameters"), str):
        value = value | {"parameters": documents.parsed(value["parameters"])}
    return value


def prompt(reading: Reading) -> str | None:
    """Return `name@version` of the prompt, or its name alone."""
    name, version = reading.text("prompt_name"), reading.text("prompt_version")
    return f"{name}@{version}" if name and version else name


def tags(reading: Reading) -> tuple[str, ...]:
    """Return the tags; LangSmith sends them as one text."""
    value = documents.parsed(reading.value("tags"))
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    return tuple(str(tag) for tag in value if tag) if isinstance(value, list) else ()


_RESOURCE_LABELS = (("service.name", "service.name"), ("project.name", "openinference.project.name"))
_TRACE_LABELS = (
    ("trace.name", "langfuse.trace.name"),
    ("trace.name", "langsmith.trace.name"),
    ("project.name", "langsmith.trace.session_name"),
)


def metadata(reading: Reading, resource: Mapping[str, Any]) -> dict[str, str]:
    """Return the metadata, with the service, project and trace names that its sender gave."""
    found: dict[str, str] = {}
    for label, key in _RESOURCE_LABELS:
        value = resource.get(key)
        if value and value != _NO_SERVICE:
            found[label] = documents.as_text(value)
    rest = reading.rest
    for label, key in _TRACE_LABELS if rest else ():
        if value := rest.get(key):
            found[label] = documents.as_text(value)
    said = reading.value("metadata")
    if said is not None:
        found.update((str(k), documents.as_text(v)) for k, v in documents.as_object(said).items())
    for name, value in reading.keyed["metadata"].items():
        found[name] = documents.as_text(value)
    return found


def person(found: Mapping[str, str], keys: Sequence[str]) -> str | None:
    """Return the session or user that metadata names, or None."""
    return next((found[key] for key in keys if found.get(key)), None) if found else None


def vercel(reading: Reading) -> bytes | None:
    """Return the answer of a Vercel AI SDK span, which comes in three attributes, as one message."""
    calls, thought = reading.value("output_tools"), reading.value("output_reasoning")
    if calls is None and thought is None:
        return None
    if reading.key("output") not in ("", "ai.response.text"):
        return None
    message: dict[str, Any] = {"role": "assistant", "content": reading.value("output")}
    if isinstance(thought, str):
        message["reasoning"] = thought
    listed = documents.parsed(calls)
    if isinstance(listed, list):
        message["tool_calls"] = listed
    return documents.shaped(message, "said")


_ABOUT = {"trace": "trace", "session": "session"}


def evaluations(reading: Reading, events: list[Event]) -> tuple[tuple[Evaluation, ...], list[Event]]:
    """Return the verdicts on the span, from attributes and events, and the events that are none."""
    if not reading.lists and not events:
        return (), events
    found: list[Evaluation] = []
    for prefix, values in reading.lists_of("evaluations") if reading.lists else ():
        about = _ABOUT.get(prefix.partition(".")[0], "span")
        for value in values if isinstance(values, list) else ():
            if isinstance(value, dict) and (made := _verdict(value, about)) is not None:
                found.append(made)
    left: list[Event] = []
    for event in events:
        made = evaluation(event[0], event[2])
        if made is None:
            left.append(event)
        else:
            found.append(made)
    return tuple(found), left


def scores(found: Sequence[Evaluation]) -> dict[str, str]:
    """Return evaluations as metadata, by which traces are found: the label, else the score."""
    return {
        f"evaluation.{one.name}": one.label or f"{one.score:g}"
        for one in found
        if one.label or one.score is not None
    }


def _verdict(value: Mapping[str, Any], about: Any) -> Evaluation | None:
    name = value.get("name")
    if not isinstance(name, str) or not name:
        return None
    return Evaluation(
        name=name,
        score=_score(value.get("score")),
        label=_text(value.get("label")),
        explanation=_text(value.get("explanation")),
        source=_text(value.get("annotator_kind", value.get("source"))),
        about=about,
    )


def evaluation(name: str, said: Mapping[str, Any]) -> Evaluation | None:
    """Return what an event of OpenTelemetry GenAI says of its span, or None when it is no evaluation."""
    if name != dialects.EVALUATION_EVENT:
        return None
    return _verdict(
        {
            "name": said.get("gen_ai.evaluation.name"),
            "score": said.get("gen_ai.evaluation.score.value"),
            "label": said.get("gen_ai.evaluation.score.label"),
            "explanation": said.get("gen_ai.evaluation.explanation"),
        },
        "span",
    )


def _score(value: Any) -> float | None:
    try:
        return None if value is None or value == "" else float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _text(value: Any) -> str | None:
    return None if value is None else documents.as_text(value)
