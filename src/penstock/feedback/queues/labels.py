"""What a queue's labels allow: checking a queue, checking answers, comparing them, finding their consensus."""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean
from penstock.feedback.model import MAX_TEXT, check_name
from penstock.feedback.queues.model import Label, LabelType, QueueKind, QueueSpec, Source, Values

MOST_LABELS = 50
MOST_OPTIONS = 100
MOST_OVERLAP = 20
MOST_GUIDELINES = 100_000
SIDES = ("a", "b", "tie")
FREE = (LabelType.TEXT, LabelType.CORRECTION)
"""Types whose answers are texts: two people hardly ever write the same, so agreement says nothing about them."""
_QUEUE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def check_spec(spec: QueueSpec) -> QueueSpec:
    """Return `spec`; raises Invalid that says what does not fit."""
    if not _QUEUE_NAME.fullmatch(spec.name) or spec.name == "items":
        raise Invalid(
            f"{spec.name!r} is not a name for a queue.",
            hint="Use letters, digits and . _ -, at most 100, beginning with a letter or digit.",
        )
    if not 1 <= spec.overlap <= MOST_OVERLAP:
        raise Invalid(f"overlap is 1 to {MOST_OVERLAP} people per item, not {spec.overlap}.")
    if not 0.1 <= spec.reserve_minutes <= 1440:
        raise Invalid("reserve_minutes is 0.1 to 1440.")
    if len(spec.guidelines) > MOST_GUIDELINES or spec.gold_every < 1 or len(spec.gold) > 1000:
        raise Invalid(
            "The guidelines or gold questions do not fit.",
            hint=f"At most {MOST_GUIDELINES} characters and 1000 gold questions, one every 1 or more items.",
        )
    _check_labels(spec)
    for gold in spec.gold:
        _check_gold(spec, gold.trace_id, gold.content, gold.values)
    if spec.source is not None:
        check_source(spec.kind, spec.source)
    return spec


def _check_labels(spec: QueueSpec) -> None:
    names = [check_name(label.name) for label in spec.labels]
    if not 1 <= len(names) <= MOST_LABELS or len(set(names)) != len(names):
        raise Invalid(f"A queue has 1 to {MOST_LABELS} labels, each with a name of its own.")
    keys = [label.key for label in spec.labels if label.key]
    if len(set(keys)) != len(keys) or any(len(key) > 20 for key in keys):
        raise Invalid("Every label has a key of its own, at most 20 characters.")
    for label in spec.labels:
        _check_label(label)
    types = [label.type for label in spec.labels]
    if (spec.kind is QueueKind.PAIR) != (LabelType.PREFERENCE in types):
        raise Invalid(
            "A queue of pairs needs a label of the type preference, and no other queue may have one."
        )
    for alone in (LabelType.PREFERENCE, LabelType.CORRECTION):
        if types.count(alone) > 1:
            raise Invalid(f"A queue has at most one {alone} label.")
    if spec.kind is QueueKind.PAIR and LabelType.CORRECTION in types:
        raise Invalid("Which of two answers a correction corrects is not clear; use a text label.")


FIXED: Mapping[str, LabelType] = {
    "thumb": LabelType.BOOLEAN,
    "comment": LabelType.TEXT,
    "correction": LabelType.CORRECTION,
    "demonstration": LabelType.TEXT,
    "preference": LabelType.PREFERENCE,
}
"""Names that mean something in feedback, and so have one type only."""


def _check_label(label: Label) -> None:
    if FIXED.get(label.name, label.type) is not label.type:
        raise Invalid(f"A label called {label.name!r} is of the type {FIXED[label.name]}.")
    if label.type is LabelType.CATEGORICAL:
        if not 2 <= len(label.options) <= MOST_OPTIONS or len(set(label.options)) != len(label.options):
            raise Invalid(f"{label.name!r} needs 2 to {MOST_OPTIONS} different options.")
        if not all(0 < len(option.strip()) <= 200 for option in label.options):
            raise Invalid(f"An option of {label.name!r} has 1 to 200 characters.")
    elif label.options:
        raise Invalid(f"Only categorical labels have options; {label.name!r} is {label.type}.")
    if label.range is None:
        return
    low, high = label.range
    if label.type is not LabelType.NUMBER or not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise Invalid(f"The range of {label.name!r} must be that of a number, from less to more.")


def _check_gold(spec: QueueSpec, trace_id: str, content: Mapping[str, Any] | None, values: Values) -> None:
    if bool(trace_id) == bool(content):
        raise Invalid("A gold question names a trace or brings its content.")
    if trace_id and spec.kind is not QueueKind.TRACE:
        raise Invalid(f"The gold questions of a queue of {spec.kind}s bring their content.")
    if spec.kind is QueueKind.PAIR and not {"a", "b"} <= set(content or {}):
        raise Invalid("The content of a gold pair has `a` and `b`.")
    check_gold_values(spec, values)


def check_gold_values(spec: QueueSpec, values: Values) -> Values:
    """Return the right answers of a gold question: some of the queue's labels that are not texts; raises Invalid."""
    free = {label.name for label in spec.labels if label.type in FREE}
    if not values or free & set(values):
        raise Invalid("A gold question has right values for one or more labels that are not texts.")
    return check_values(spec.labels, values, partly=True)


def check_source(kind: QueueKind, source: Source) -> None:
    """Raise Invalid unless the source names one origin that gives items of the queue's kind."""
    given = [
        name
        for name, value in (
            ("query", source.query is not None),
            ("dataset", source.dataset is not None),
            ("run", source.run is not None),
            ("trace_ids", source.trace_ids),
            ("pairs", source.pairs),
        )
        if value
    ]
    if len(given) != 1:
        raise Invalid("Items come from one of query, dataset, run, trace_ids and pairs.")
    fits = {
        QueueKind.TRACE: ("query", "trace_ids"),
        QueueKind.ROW: ("dataset", "run"),
        QueueKind.PAIR: ("query", "dataset", "pairs"),
    }[kind]
    if given[0] not in fits:
        raise Invalid(f"The items of a queue of {kind}s come from {' or '.join(fits)}, not from {given[0]}.")
    if source.follow and (given[0] != "query" or kind is not QueueKind.TRACE):
        raise Invalid("Only a queue of traces can follow a query.")
    if not 0 < source.share <= 1 or not 1 <= source.limit <= 100_000:
        raise Invalid("share is above 0 and at most 1; limit is 1 to 100000.")


def check_values(labels: Sequence[Label], values: Any, *, partly: bool = False) -> Values:
    """Return the checked answers in the order of the labels; raises Invalid.

    With `partly` required labels may be missing, as in a gold question or a suggestion.
    """
    if not isinstance(values, Mapping):
        raise Invalid("Answers are given as label → value.")
    known = {label.name for label in labels}
    for name in values:
        if name not in known:
            raise Invalid(f"There is no label {name!r}.", hint=did_you_mean(str(name), known))
    found = {}
    for label in labels:
        value = values.get(label.name)
        if value is not None:
            found[label.name] = _CHECKS[label.type](label, value)
        elif label.required and not partly:
            raise Invalid(f"The label {label.name!r} needs an answer.")
    return found


def _option(label: Label, value: Any) -> str:
    if value not in label.options:
        known = ", ".join(label.options)
        raise Invalid(f"{value!r} is not an option of {label.name!r}.", hint=f"Use one of {known}.")
    return str(value)


def _number(label: Label, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Invalid(f"{label.name!r} is a number, not {value!r}.")
    if label.range is not None and not label.range[0] <= value <= label.range[1]:
        raise Invalid(f"{label.name!r} goes from {label.range[0]:g} to {label.range[1]:g}, not {value:g}.")
    return float(value)


def _boolean(label: Label, value: Any) -> bool:
    if not isinstance(value, bool):
        raise Invalid(f"{label.name!r} is true or false, not {value!r}.")
    return value


def _text(label: Label, value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_TEXT:
        raise Invalid(f"{label.name!r} is a text of 1 to {MAX_TEXT} characters.")
    return value


def _side(label: Label, value: Any) -> str:
    if value not in SIDES:
        raise Invalid(f"{label.name!r} is a, b or tie, not {value!r}.")
    return str(value)


_CHECKS: Mapping[LabelType, Callable[[Label, Any], Any]] = {
    LabelType.CATEGORICAL: _option,
    LabelType.NUMBER: _number,
    LabelType.BOOLEAN: _boolean,
    LabelType.TEXT: _text,
    LabelType.CORRECTION: _text,
    LabelType.PREFERENCE: _side,
}


def comparable(labels: Sequence[Label]) -> list[Label]:
    """Return the labels whose answers can be compared: all but texts."""
    return [label for label in labels if label.type not in FREE]


def gold_right(gold: Values, given: Values) -> float:
    """Return the share of the gold question's labels that were answered right."""
    return sum(bool(given.get(name) == value) for name, value in gold.items()) / len(gold)


def disagreement(labels: Sequence[Label], answers: Sequence[Values]) -> float:
    """Return how far answers differ: the mean over labels of the share of pairs that differ, 0 to 1.

    For a number the share is the distance over the range, where the label has one.
    """
    shares = []
    for label in comparable(labels):
        given = [answer[label.name] for answer in answers if label.name in answer]
        if len(given) > 1:
            pairs = [_apart(label, one, two) for one, two in combinations(given, 2)]
            shares.append(sum(pairs) / len(pairs))
    return sum(shares) / len(shares) if shares else 0.0


def _apart(label: Label, one: Any, two: Any) -> float:
    if label.type is LabelType.NUMBER and label.range is not None:
        return float(abs(one - two) / (label.range[1] - label.range[0]))
    return float(one != two)


def consensus(labels: Sequence[Label], answers: Sequence[Values]) -> Values:
    """Return what more than half of those who answered a label said; the mean of numbers; the last text.

    A label without a majority is left out.
    """
    found: Values = {}
    for label in labels:
        given = [answer[label.name] for answer in answers if label.name in answer]
        if not given:
            continue
        if label.type in FREE:
            found[label.name] = given[-1]
        elif label.type is LabelType.NUMBER:
            found[label.name] = math.fsum(given) / len(given)
        else:
            value, count = Counter(given).most_common(1)[0]
            if 2 * count > len(given):
                found[label.name] = value
    return found
