"""Whole answers of every API family as guardrails see them."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import msgspec

from penstock.gateway.guarding.leaves import Kind, Leaf, leaves
from penstock.gateway.guarding.requests import tool_calls
from penstock.gateway.guarding.sources import edited
from penstock.gateway.model import Operation
from penstock.guardrails.model import Document, Piece

MEMBERS: Mapping[Operation, tuple[str, ...]] = {
    Operation.CHAT: ("choices",),
    Operation.COMPLETIONS: ("choices",),
    Operation.RESPONSES: ("output", "output_text"),
    Operation.MESSAGES: ("content",),
    Operation.GENERATE: ("candidates",),
}
"""The members of an answer that the model wrote. Operations that are not here answer without text."""
_LOG = ("logprobs", "logprobsResult", "logprobs_result")
Edit = Callable[[str], str]


def written(answer: Any, operation: Operation) -> dict[str, Any]:
    """Return the members that the model wrote."""
    if not isinstance(answer, dict):
        return {}
    return {name: answer[name] for name in MEMBERS.get(operation, ()) if name in answer}


def texts(answer: Any, operation: Operation) -> Iterator[Leaf]:
    """Return the texts of a decoded answer."""
    for name, part in written(answer, operation).items():
        if isinstance(part, str):
            yield Leaf(answer, name, Kind.TEXT, "assistant", (name,))
        else:
            yield from leaves(part, role="assistant", path=(name,))


def edit_leaf(leaf: Leaf, edit: Edit) -> bool:
    """Do `edit` to a text, string by string where it is JSON source; returns whether that changed it."""
    text = leaf.text
    new = edited(text, edit) if leaf.kind is Kind.SOURCE else edit(text)
    if new == text:
        return False
    leaf.holder[leaf.name] = new
    return True


def edit_tree(value: Any, edit: Edit, *, kind: Kind = Kind.TEXT, but: Collection[str] = ()) -> bool:
    """Do `edit` to all texts below a value, `but` for some of its members; returns whether that changed any."""
    found = [leaf for leaf in leaves(value, kind=kind) if leaf.path[0] not in but]
    changes = [edit_leaf(leaf, edit) for leaf in found]
    return any(changes)


def edit_answer(answer: Any, operation: Operation, edit: Edit) -> bool:
    """Do `edit` to all texts of a decoded answer; returns whether that changed any."""
    changes = [edit_leaf(leaf, edit) for leaf in list(texts(answer, operation))]
    if not any(changes):
        return False
    forget_tokens(answer)
    return True


def forget_tokens(value: Any) -> None:
    """Take out log probabilities: token by token they tell what was taken out of the text."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in _LOG and inner:
                value[name] = [] if isinstance(inner, list) else None
            elif isinstance(inner, dict | list):
                forget_tokens(inner)
    elif isinstance(value, list):
        for inner in value:
            forget_tokens(inner)


def document_of(answer: Any, operation: Operation, size: int) -> Document:
    """Return a decoded answer free of its API family."""
    return Document(
        pieces=tuple(Piece(leaf.text, leaf.role) for leaf in texts(answer, operation)),
        calls=tuple(tool_calls(list(written(answer, operation).values()))),
        messages=1,
        size=size,
    )


def read(body: bytes) -> Any:
    """Return a decoded answer; None when it is not JSON."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
