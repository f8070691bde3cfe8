"""Live agreement of a queue's annotators, per label."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from penstock.core.deferred import deferred
from penstock.feedback.queues.labels import comparable
from penstock.feedback.queues.model import Agreement, Label, LabelType, Values

if TYPE_CHECKING:
    import numpy as np

    from penstock.core import statistics
else:
    # They take long to load, and only queues with answers need them.
    np = deferred("numpy")
    statistics = deferred("penstock.core.statistics")

MOST_RESAMPLES, FEWEST_RESAMPLES = 1000, 200
_CELLS = 2_000_000
"""Rows times resamples of one interval: what a page that refreshes may cost."""

Ratings = Mapping[str, Mapping[str, Any]]
"""Item → annotator → value."""


def agreements(labels: Iterable[Label], answers: Iterable[tuple[str, str, Values]]) -> list[Agreement]:
    """Return the agreement on each label whose answers can be compared, of (item, annotator, values).

    Per label: `same`, the share of items on which all answers are alike (Wilson interval); Cohen's kappa when two
    people answered; Fleiss' kappa when three or more did and every item has as many answers; Krippendorff's alpha
    (nominal, or interval for numbers) always. Kappa and alpha are left out where they are undefined: when
    every answer is the same, or no item has two.
    """
    by_label: dict[str, dict[str, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    for item, annotator, values in answers:
        for name, value in values.items():
            by_label[name][item][annotator] = value
    found: list[Agreement] = []
    for label in comparable(list(labels)):
        ratings = {item: given for item, given in by_label[label.name].items() if len(given) > 1}
        if ratings:
            found += _of_label(label, ratings)
    return found


def _of_label(label: Label, ratings: Ratings) -> list[Agreement]:
    alike = sum(len(set(given.values())) == 1 for given in ratings.values())
    share = statistics.wilson(alike, len(ratings))
    found = [_agreement(label, "same", share)]
    if all(len(set(given.values())) == 1 for given in ratings.values()) and len(_values(ratings)) == 1:
        return found
    numeric = label.type is LabelType.NUMBER
    if not numeric:
        kappa = _kappa(label, ratings)
        found += [kappa] if kappa is not None else []
    resamples = max(FEWEST_RESAMPLES, min(MOST_RESAMPLES, _CELLS // len(ratings)))
    level = "interval" if numeric else "nominal"
    table = _table(ratings, numeric)
    alpha = statistics.krippendorff_alpha(table, level=level, resamples=resamples)
    return [*found, _agreement(label, "alpha", alpha)]


def _values(ratings: Ratings) -> list[Any]:
    return sorted({value for given in ratings.values() for value in given.values()})


def _people(ratings: Ratings) -> list[str]:
    return sorted({person for given in ratings.values() for person in given})


def _kappa(label: Label, ratings: Ratings) -> Agreement | None:
    people = _people(ratings)
    if len(people) == 2:
        one, two = ([given[person] for given in ratings.values()] for person in people)
        return _agreement(label, "cohen", statistics.cohen_kappa(one, two))
    if len({len(given) for given in ratings.values()}) != 1:
        return None
    codes = {value: place for place, value in enumerate(_values(ratings))}
    counts = np.zeros((len(ratings), len(codes)))
    for row, given in enumerate(ratings.values()):
        for value in given.values():
            counts[row, codes[value]] += 1
    resamples = max(FEWEST_RESAMPLES, min(MOST_RESAMPLES, _CELLS // len(ratings)))
    return _agreement(label, "fleiss", statistics.fleiss_kappa(counts, resamples=resamples))


def _table(ratings: Ratings, numeric: bool) -> Any:
    """Return the ratings as numbers, shape (people, items), NaN where somebody gave none."""
    people = {person: row for row, person in enumerate(_people(ratings))}
    codes = {value: value if numeric else float(place) for place, value in enumerate(_values(ratings))}
    table = np.full((len(people), len(ratings)), np.nan)
    for column, given in enumerate(ratings.values()):
        for person, value in given.items():
            table[people[person], column] = codes[value]
    return table


def _agreement(label: Label, kind: str, interval: "statistics.Interval") -> Agreement:
    low, high = max(-1.0, interval.low), min(1.0, interval.high)
    value = interval.value if math.isfinite(interval.value) else 0.0
    return Agreement(label=label.name, kind=kind, value=value, low=low, high=high, n=interval.n)
