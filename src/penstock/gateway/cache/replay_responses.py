"""Responses as events: https://platform.openai.com/docs/api-reference/responses-streaming."""

from collections.abc import Iterator
from typing import Any

from penstock.gateway.cache.pieces import event, pieces

Body = dict[str, Any]


def response(answer: Body, include_usage: bool) -> Iterator[bytes]:  # noqa: ARG001 - counts always belong to it
    """Yield the whole set of events of a finished response, numbered from 0."""
    for number, (kind, members) in enumerate(_events(answer)):
        yield event(kind, {"type": kind, "sequence_number": number, **members})


def _events(answer: Body) -> Iterator[tuple[str, Body]]:
    begun = {**answer, "status": "in_progress", "output": [], "usage": None}
    yield "response.created", {"response": begun}
    yield "response.in_progress", {"response": begun}
    for index, item in enumerate(answer.get("output") or ()):
        yield from _item(index, item)
    yield f"response.{answer.get('status') or 'completed'}", {"response": answer}


def _item(index: int, item: Body) -> Iterator[tuple[str, Body]]:
    kind = item.get("type")
    empty = {**item, "status": "in_progress"} if "status" in item else dict(item)
    inner: Iterator[tuple[str, Body]] = iter(())
    if kind == "message":
        empty["content"] = []
        inner = _parts(item.get("content") or ())
    elif kind == "function_call":
        empty["arguments"] = ""
        inner = _arguments(item)
    elif kind == "custom_tool_call":
        empty["input"] = ""
        inner = _input(item)
    elif kind == "reasoning" and item.get("summary"):
        empty["summary"] = []
        inner = _summary(item["summary"])
    yield "response.output_item.added", {"output_index": index, "item": empty}
    place = {"item_id": item.get("id"), "output_index": index}
    for name, members in inner:
        yield name, {**place, **members}
    yield "response.output_item.done", {"output_index": index, "item": item}


def _arguments(item: Body) -> Iterator[tuple[str, Body]]:
    arguments = item.get("arguments") or ""
    for piece in pieces(arguments):
        yield "response.function_call_arguments.delta", {"delta": piece}
    yield "response.function_call_arguments.done", {"name": item.get("name"), "arguments": arguments}


def _input(item: Body) -> Iterator[tuple[str, Body]]:
    text = item.get("input") or ""
    for piece in pieces(text):
        yield "response.custom_tool_call_input.delta", {"delta": piece}
    yield "response.custom_tool_call_input.done", {"input": text}


def _parts(content: Any) -> Iterator[tuple[str, Body]]:
    for index, part in enumerate(content):
        place = {"content_index": index}
        if part.get("type") == "output_text":
            empty: Body = {**part, "text": "", "annotations": []}
            yield "response.content_part.added", {**place, "part": empty}
            yield from _text(part, place)
        elif part.get("type") == "refusal":
            yield "response.content_part.added", {**place, "part": {**part, "refusal": ""}}
            for piece in pieces(part.get("refusal") or ""):
                yield "response.refusal.delta", {**place, "delta": piece}
            yield "response.refusal.done", {**place, "refusal": part.get("refusal") or ""}
        else:
            yield "response.content_part.added", {**place, "part": part}
        yield "response.content_part.done", {**place, "part": part}


def _text(part: Body, place: Body) -> Iterator[tuple[str, Body]]:
    text = part.get("text") or ""
    for piece in pieces(text):
        yield "response.output_text.delta", {**place, "delta": piece, "logprobs": []}
    for number, annotation in enumerate(part.get("annotations") or ()):
        added = {**place, "annotation_index": number, "annotation": annotation}
        yield "response.output_text.annotation.added", added
    yield "response.output_text.done", {**place, "text": text, "logprobs": part.get("logprobs") or []}


def _summary(summary: list[Body]) -> Iterator[tuple[str, Body]]:
    for index, part in enumerate(summary):
        place, text = {"summary_index": index}, part.get("text") or ""
        yield "response.reasoning_summary_part.added", {**place, "part": {**part, "text": ""}}
        for piece in pieces(text):
            yield "response.reasoning_summary_text.delta", {**place, "delta": piece}
        yield "response.reasoning_summary_text.done", {**place, "text": text}
        yield "response.reasoning_summary_part.done", {**place, "part": part}
