"""What each annotator did in a queue."""

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from penstock.core.deferred import deferred
from penstock.feedback.queues.model import Annotator, WorkState

if TYPE_CHECKING:
    from penstock.core import statistics
else:
    statistics = deferred("penstock.core.statistics")


def annotators(rows: Iterable[tuple[str, str, int, int, float]]) -> list[Annotator]:
    """Return the annotators by name, of (name, state of work, items, gold questions among them, gold right).

    The interval is Wilson's; a gold question with several labels, some of them right, counts by its share.
    """
    counted: dict[str, dict[str, tuple[int, int, float]]] = defaultdict(dict)
    for name, state, count, gold, right in rows:
        before = counted[name].get(state, (0, 0, 0.0))
        counted[name][state] = (before[0] + count, before[1] + gold, before[2] + right)
    return [_annotator(name, counted[name]) for name in sorted(counted)]


def _annotator(name: str, states: dict[str, tuple[int, int, float]]) -> Annotator:
    answered, gold, right = states.get(WorkState.ANSWERED, (0, 0, 0.0))
    interval = statistics.wilson(round(right), gold) if gold else None
    return Annotator(
        name=name,
        answered=answered - gold,
        skipped=states.get(WorkState.SKIPPED, (0, 0, 0.0))[0],
        gold_asked=gold,
        gold_right=right,
        gold_low=None if interval is None else interval.low,
        gold_high=None if interval is None else interval.high,
    )
