"""From a prompt's body and a draft to the body of a candidate."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from penstock.core.errors import Invalid
from penstock.evals.optimise.model import Demo, Draft
from penstock.prompts.model import Body, Kind, literal

_INSTRUCTING = ("system", "developer")
_INTRO = "Examples of the task with good answers:"
_TASK = "Now the task itself:"


def _instructing(body: Body) -> int | None:
    """Return which message holds the instructions, None when no message does."""
    return next(
        (
            index
            for index, message in enumerate(body.messages)
            if message.get("role") in _INSTRUCTING and isinstance(message.get("content"), str)
        ),
        None,
    )


def instruction_of(body: Body) -> str:
    """Return the template of the instructions: a text prompt's text, a chat's first system message, or nothing."""
    if body.kind is Kind.TEXT:
        return body.text
    index = _instructing(body)
    return "" if index is None else str(body.messages[index]["content"])


def query_of(body: Body) -> Body | None:
    """Return what a row fills in and the model answers: a chat from its last user turn on; None for texts."""
    turns = [
        index
        for index, message in enumerate(body.messages)
        if message.get("role") == "user" or "placeholder" in message or "include" in message
    ]
    if body.kind is Kind.TEXT or not turns:
        return None
    return Body(kind=Kind.CHAT, messages=body.messages[turns[-1] :], variables=body.variables)


def compose(base: Body, draft: Draft) -> Body:
    """Return the body of `base` with the draft's instructions, examples and model."""
    body = base if draft.instruction is None else _instructed(base, draft.instruction)
    if draft.demos:
        body = _shown(body, draft.demos)
    return replace(body, settings={**body.settings, "model": draft.model})


def _instructed(body: Body, instruction: str) -> Body:
    if body.kind is Kind.TEXT:
        return replace(body, text=instruction)
    index = _instructing(body)
    if index is None:
        return replace(body, messages=({"role": "system", "content": instruction}, *body.messages))
    changed = {**body.messages[index], "content": instruction}
    return replace(body, messages=(*body.messages[:index], changed, *body.messages[index + 1 :]))


def _shown(body: Body, demos: Sequence[Demo]) -> Body:
    if body.kind is Kind.TEXT:
        shown = "\n\n".join(_block(demo) for demo in demos)
        return replace(body, text=f"{_INTRO}\n\n{shown}\n\n{_TASK}\n\n{body.text}")
    query = query_of(body)
    if query is None:
        raise Invalid("The prompt has no user message, so there is no place for examples.")
    at = len(body.messages) - len(query.messages)
    turns: list[dict[str, Any]] = []
    for demo in demos:
        turns += [
            {name: literal(value) if name == "content" else value for name, value in message.items()}
            for message in demo.query
        ]
        turns.append({"role": "assistant", "content": literal(demo.answer)})
    return replace(body, messages=(*body.messages[:at], *turns, *body.messages[at:]))


def _block(demo: Demo) -> str:
    asked = "\n".join(literal(str(message.get("content", ""))) for message in demo.query)
    return f"<example>\n{asked}\n</example>\n<answer>\n{literal(demo.answer)}\n</answer>"
