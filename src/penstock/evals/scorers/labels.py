"""Several labels per answer."""

import re
from collections.abc import Sequence

from penstock.core.errors import Invalid
from penstock.evals.model import Measure, MetricKind, Output, Sample
from penstock.evals.scorers.record import parse_value

_BULLET = re.compile(r"^(?:[-*•]|\d{1,3}[.)])\s+")
_PER_SAMPLE = ("labels_precision", "labels_recall", "labels_f1")
_AVERAGES = ("precision", "recall", "f1")
Counts = tuple[float, float, float]
"""Found rightly, said wrongly, missed."""


def rates(counts: Counts, *, nothing: float = 0.0) -> Counts:
    """Return precision, recall and F1; `nothing` is their value when there was nothing to find and nothing said."""
    right, wrong, missed = counts
    if not right + wrong + missed:
        return nothing, nothing, nothing
    precision = right / (right + wrong) if right + wrong else 0.0
    recall = right / (right + missed) if right + missed else 0.0
    return precision, recall, 2 * right / (2 * right + wrong + missed)


class Labels:
    """Precision, recall and F1 of sets of labels.

    Per sample, averaged: `labels_precision`, `labels_recall`, `labels_f1`, and `labels_exact` (the whole set
    is right). Over the whole run: `labels_micro_precision`, `labels_micro_recall` and `labels_micro_f1` of
    all decisions together, and with the option `labels`, which names every label there is, the unweighted
    means over these labels: `labels_macro_precision` and so on.

    An answer is a JSON list of texts, or labels divided by any of the `separators` (comma, semicolon, bar and
    line break); list bullets and quotation marks around them do not count, nor do repetitions. The references
    together are the expected set, so that a column with a list of labels is read as it is. A sample where
    nothing is expected and nothing said is right; a rate over the whole run with nothing to count is 0.
    Source: Tsoumakas, Katakis and Vlahavas, Mining Multi-label Data, 2010, section 7 (example-based and
    label-based measures).
    """

    name = "labels"

    def __init__(
        self, *, labels: Sequence[str] = (), ignore_case: bool = False, separators: str = ",;|\n"
    ) -> None:
        if isinstance(labels, str) or not separators:
            raise Invalid("labels needs a list of labels and at least one separator.")
        self._ignore_case = ignore_case
        self._split = re.compile(f"[{re.escape(separators)}]")
        self._known = tuple(dict.fromkeys(filter(None, map(self._clean, labels))))

    def _clean(self, text: str) -> str:
        text = _BULLET.sub("", text.strip()).strip().strip("\"'`“”‘’").strip()
        return text.casefold() if self._ignore_case else text

    def read(self, text: str) -> frozenset[str]:
        """Return the labels of an answer or a reference."""
        value = parse_value(text)
        if isinstance(value, str):
            value = [value]
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            value = self._split.split(text)
        return frozenset(filter(None, map(self._clean, value)))

    def _sets(self, sample: Sample, output: Output) -> tuple[frozenset[str], frozenset[str]]:
        return self.read(output.text), frozenset().union(*map(self.read, sample.references))

    def score(self, sample: Sample, output: Output) -> dict[str, float]:
        """Return the figures of this sample, or nothing without references."""
        if not sample.references:
            return {}
        said, wanted = self._sets(sample, output)
        counts = (float(len(said & wanted)), float(len(said - wanted)), float(len(wanted - said)))
        figures = dict(zip(_PER_SAMPLE, rates(counts, nothing=1.0), strict=True))
        return {**figures, "labels_exact": float(said == wanted)}

    def sums(self, sample: Sample, output: Output) -> tuple[float, ...]:
        """Return labels found rightly, said wrongly and missed: all of them, then of each known label."""
        if not sample.references:
            return (0.0,) * (3 + 3 * len(self._known))
        said, wanted = self._sets(sample, output)
        counts = [len(said & wanted), len(said - wanted), len(wanted - said)]
        for label in self._known:
            here, there = label in said, label in wanted
            counts += [here and there, here and not there, there and not here]
        return tuple(map(float, counts))

    def corpus(self, sums: Sequence[float]) -> dict[str, float]:
        """Return the micro averages, and the macro averages over the known labels."""
        triples = [(sums[at], sums[at + 1], sums[at + 2]) for at in range(0, len(sums), 3)]
        averages = {"micro": rates(triples[0])}
        if self._known:
            columns = zip(*map(rates, triples[1:]), strict=True)
            precision, recall, f1 = (sum(column) / len(self._known) for column in columns)
            averages["macro"] = (precision, recall, f1)
        return {
            f"labels_{kind}_{name}": value
            for kind, values in averages.items()
            for name, value in zip(_AVERAGES, values, strict=True)
        }

    def measure(self, metric: str) -> Measure | None:
        """Return a mean, a proportion or a corpus metric."""
        if metric == "labels_exact":
            return Measure(kind=MetricKind.PROPORTION)
        if metric in _PER_SAMPLE:
            return Measure(kind=MetricKind.MEAN)
        known = [f"labels_{kind}_{name}" for kind in ("micro", "macro") for name in _AVERAGES]
        return Measure(kind=MetricKind.CORPUS) if metric in known else None
