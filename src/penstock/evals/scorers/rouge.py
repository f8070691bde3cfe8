"""What the ROUGE scorers share: words, common subsequences, F1, and the best of several references."""

import re
from collections.abc import Sequence
from typing import ClassVar

from penstock.evals.model import Measure, MetricKind, Output, Sample

_WORD = re.compile(r"[^\W_]+")


def tokens(text: str) -> list[str]:
    """Return the case-folded runs of letters and digits of any script."""
    return _WORD.findall(text.casefold())


def f_measure(common: int, said: int, wanted: int) -> float:
    """Return the F1 of `common` of `said` and of `wanted` things; 0 when nothing is common."""
    if common == 0:
        return 0.0
    precision, recall = common / said, common / wanted
    return 2 * precision * recall / (precision + recall)


def lcs_rows(first: Sequence[str], second: Sequence[str]) -> list[int]:
    """Return the rows of the table of common-subsequence lengths, one bit per element of `first`.

    Row r belongs to the first r elements of `second`; a zero bit is where its length grows by one.
    Source: Hyyrö, Bit-parallel LCS-length computation revisited, AWOCA 2004.
    """
    positions: dict[str, int] = {}
    for index, token in enumerate(first):
        positions[token] = positions.get(token, 0) | 1 << index
    mask = (1 << len(first)) - 1
    rows = [mask]
    for token in second:
        row = rows[-1]
        matches = row & positions.get(token, 0)
        rows.append(((row + matches) | (row - matches)) & mask)
    return rows


def lcs_length(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the length of the longest common subsequence."""
    return len(first) - lcs_rows(first, second)[-1].bit_count()


def lcs_indices(first: Sequence[str], second: Sequence[str]) -> set[int]:
    """Return the places in `second` of one longest common subsequence.

    Of several, the one found from the end by taking every match, then leaving out elements of `second` unless
    leaving out one of `first` keeps more: the choice of ROUGE 1.5.5 and of the package rouge-score, which
    summaries depend on.
    """
    rows = lcs_rows(first, second)
    found: set[int] = set()
    column, row = len(first), len(second)
    while column and row:
        if first[column - 1] == second[row - 1]:
            found.add(row - 1)
            column, row = column - 1, row - 1
        elif _length(rows[row], column - 1) > _length(rows[row - 1], column):
            column -= 1
        else:
            row -= 1
    return found


def _length(row: int, column: int) -> int:
    return column - (row & ((1 << column) - 1)).bit_count()


class Rouge:
    """A ROUGE scorer: its metric is called as itself, and is the best F1 over the references."""

    name: ClassVar[str]

    def compare(self, answer: str, reference: str) -> float:
        """Return the F1 of two texts, 0 to 1."""
        raise NotImplementedError

    def score(self, sample: Sample, output: Output) -> dict[str, float]:
        """Return the metric, or nothing for a sample without references."""
        if not sample.references:
            return {}
        return {self.name: max(self.compare(output.text, text) for text in sample.references)}

    def measure(self, metric: str) -> Measure | None:
        """Return that the metric is a mean."""
        return Measure(kind=MetricKind.MEAN) if metric == self.name else None
