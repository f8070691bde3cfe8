"""Turning a finished call into a span for traces."""

from typing import Protocol

import msgspec

from penstock.core.scope import Scope
from penstock.gateway.asking import MAX_TEXT, header_text
from penstock.gateway.call import Call
from penstock.gateway.model import Operation, Usage
from penstock.traces.model import SpanRecord

MAX_METADATA = 64
GUARD_TAG = "guard:"
ARM_TAG = "release:"
_OWN_TAGS = (GUARD_TAG, ARM_TAG)
_FINER = ("cache_write_1h", "audio_input", "image_input", "audio_output", "image_output")
_metadata = msgspec.json.Decoder(dict[str, str | int | float | bool | None])


class Recorder(Protocol):
    """What the gateway needs of `traces.service.Recorder`; `record` returns at once."""

    def record(self, scope: Scope, span: SpanRecord) -> None:
        """Take a span; it is written later."""
        ...


def _pairs(raw: bytes) -> dict[str, str]:
    """Return a flat JSON object as text pairs; anything else is no metadata, and no reason to refuse a call."""
    try:
        found = _metadata.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return {key[:200]: str(value)[:MAX_TEXT] for key, value in list(found.items())[:MAX_METADATA]}


def metadata_of(call: Call) -> dict[str, str]:
    """Return the metadata of the body and of `x-penstock-metadata`, the header's winning."""
    raw = call.envelope.fields.get("metadata") if call.envelope is not None else None
    header = call.headers.get(b"x-penstock-metadata")
    found = _pairs(bytes(raw)) if raw is not None else {}
    return found | _pairs(header) if header else found


def _tags(call: Call) -> tuple[str, ...]:
    """Return the caller's tags, and those for the verdicts of guards and arms of releases, which callers cannot set."""
    raw = header_text(call.headers, b"x-penstock-tags")
    found = [tag.strip() for tag in raw.split(",")] if raw else []
    tags = [tag for tag in found if tag and not tag.startswith(_OWN_TAGS)]
    for event in call.events:
        verdict, policy = event.attributes["verdict"], event.attributes["policy"].partition("@")[0]
        tags += [f"{GUARD_TAG}{verdict}", f"{GUARD_TAG}{verdict}:{policy}"]
    if call.arm is not None:
        tags.append(f"{ARM_TAG}{call.arm.split.release}/{call.arm.name}")
    return tuple(dict.fromkeys(tags))


def _attributes(call: Call) -> dict[str, str | int | bool]:
    found: dict[str, str | int | bool] = {
        "gateway.request_id": call.request_id,
        "gateway.status": call.status,
        "gateway.attempts": call.attempts,
    }
    if call.target is not None:
        found["gateway.target"] = call.target.label
    if call.envelope is not None and call.envelope.stream:
        found["gateway.stream"] = True
    if call.cache:
        found["gateway.cache"] = call.cache
    if call.gone:
        found["gateway.caller_left"] = True
    for name, value in call.notes.items():
        found[f"gateway.{name}"] = value
    return found


def span_of(call: Call, *, capture: bool) -> SpanRecord:
    """Return the span of a finished, priced call; `capture` keeps its bodies."""
    operation, envelope, target = call.operation, call.envelope, call.target
    embedding = operation is Operation.EMBEDDINGS
    output = call.output() if call.output is not None and not embedding else None
    usage = call.usage or Usage()
    model = call.answer_model or (target.model if target is not None else None)
    return SpanRecord(
        trace_id=call.trace_id,
        span_id=call.span_id,
        parent_id=call.parent_id,
        name=str(operation) if operation is not None else call.path,
        kind="embedding" if embedding else "llm",
        status="ok" if call.error is None else "error",
        error=call.error,
        start_ns=call.start_ns,
        end_ns=call.end_ns,
        model=model,
        requested_model=envelope.model if envelope is not None else None,
        provider=target.provider.name if target is not None else None,
        input_tokens=usage.input,
        output_tokens=usage.output,
        cached_tokens=usage.cached,
        cache_write_tokens=usage.written,
        reasoning_tokens=usage.reasoning,
        finer_tokens={name: count for name in _FINER if (count := getattr(usage, name))},
        cost_usd=call.cost.usd if call.cost is not None else None,
        price_version=call.cost.version if call.cost is not None else None,
        tokens_estimated=call.estimated,
        ttft_ns=call.first_ns - call.start_ns if call.first_ns else None,
        user=call.user,
        session=header_text(call.headers, b"x-penstock-session"),
        key_id=call.caller.key_id if call.caller is not None else None,
        route=call.route or None,
        environment=header_text(call.headers, b"x-penstock-environment"),
        prompt=call.prompt or header_text(call.headers, b"x-penstock-prompt"),
        tags=_tags(call),
        metadata=metadata_of(call),
        input=envelope.body if capture and envelope is not None else None,
        output=output if capture else None,
        attributes=_attributes(call),
        events=tuple(call.events),
    )
