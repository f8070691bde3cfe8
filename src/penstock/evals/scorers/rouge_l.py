"""ROUGE-L."""

import re
from collections.abc import Sequence

from penstock.evals.model import Measure, MetricKind, Output, Sample

_WORD = re.compile(r"[^\W_]+")


def tokens(text: str) -> list[str]:
    """Return the case-folded runs of letters and digits of any script."""
    return _WORD.findall(text.casefold())


def lcs_length(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the length of the longest common subsequence, one bit per element of `first`.

    Source: Hyyrö, Bit-parallel LCS-length computation revisited, AWOCA 2004.
    """
    positions: dict[str, int] = {}
    for index, token in enumerate(first):
        positions[token] = positions.get(token, 0) | 1 << index
    mask = (1 << len(first)) - 1
    row = mask
    for token in second:
        matches = row & positions.get(token, 0)
        row = ((row + matches) | (row - matches)) & mask
    return len(first) - row.bit_count()


def rouge_l(answer: str, reference: str) -> float:
    """Return the ROUGE-L F1 of two texts, 0 to 1; 0 when either has no words.

    Source: Lin, ROUGE: A Package for Automatic Evaluation of Summaries, ACL 2004 workshop, section 3.
    """
    said, wanted = tokens(answer), tokens(reference)
    if not said or not wanted:
        return 0.0
    common = lcs_length(wanted, said)
    if common == 0:
        return 0.0
    precision, recall = common / len(said), common / len(wanted)
    return 2 * precision * recall / (precision + recall)


class RougeL:
    """`rouge_l`: the F1 of the longest common subsequence of words, the best over the references."""

    name = "rouge_l"

    def score(self, sample: Sample, output: Output) -> dict[str, float]:
        """Return `rouge_l`, or nothing for a sample without references."""
        if not sample.references:
            return {}
        return {"rouge_l": max(rouge_l(output.text, reference) for reference in sample.references)}

    def measure(self, metric: str) -> Measure | None:
        """Return that `rouge_l` is a mean."""
        return Measure(kind=MetricKind.MEAN) if metric == "rouge_l" else None
