"""Which of two answers an annotator sees as `a`: chance decides, so that a habit for one side favours nobody.

It is the same for one annotator and item whenever it is shown. What is stored is about the item's own sides.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from penstock.feedback.queues.model import Item, LabelType, Queue, QueueKind, Values, Work

_OTHER = {"a": "b", "b": "a"}


def turned(queue: Queue, item: Item, annotator: str) -> bool:
    """Whether the annotator sees the item's second answer as `a`."""
    if queue.spec.kind is not QueueKind.PAIR:
        return False
    return hashlib.sha256(f"{item.id} {annotator}".encode()).digest()[0] % 2 == 1


def faced(queue: Queue, item: Item, annotator: str, values: Values) -> Values:
    """Return values as the annotator sees them, or what the annotator saw as values of the item."""
    if not turned(queue, item, annotator):
        return values
    sides = {label.name for label in queue.spec.labels if label.type is LabelType.PREFERENCE}
    return {
        name: _OTHER.get(value, value) if name in sides and isinstance(value, str) else value
        for name, value in values.items()
    }


def faced_content(queue: Queue, item: Item, annotator: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a content as the annotator sees it; of a pair without the row, whose columns would tell the sides."""
    if queue.spec.kind is not QueueKind.PAIR:
        return dict(content)
    found = {name: value for name, value in content.items() if name != "row"}
    if turned(queue, item, annotator):
        found["a"], found["b"] = content["b"], content["a"]
    return found


def seen(queue: Queue, item: Item, work: Work) -> Work:
    """Return an annotator's own work as the annotator sees it: with the sides as they were shown, no word of gold."""
    answer = None if work.answer is None else faced(queue, item, work.annotator, work.answer)
    return msgspec.structs.replace(work, answer=answer, gold_right=None)
