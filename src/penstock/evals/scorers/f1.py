"""Token F1 of short answers, as SQuAD counts it."""

import re
import string
from collections import Counter

from penstock.evals.model import Measure, MetricKind, Output, Sample

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def squad_tokens(text: str) -> list[str]:
    """Return the words of a text without case, ASCII punctuation and English articles.

    Source: the evaluation script of SQuAD 1.1 and 2.0 (Rajpurkar et al., EMNLP 2016 and ACL 2018).
    """
    return _ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split()


def token_f1(answer: str, reference: str) -> float:
    """Return the F1 of the words two texts share, 0 to 1; a text without words only equals another one without."""
    said, wanted = squad_tokens(answer), squad_tokens(reference)
    if not said or not wanted:
        return float(said == wanted)
    common = (Counter(said) & Counter(wanted)).total()
    return 2 * common / (len(said) + len(wanted))


class TokenF1:
    """`f1`: word overlap with the best reference; `f1_exact`: 1 when an answer equals a reference after normalisation.

    Case, ASCII punctuation, English articles and white space never count. The rules are those of SQuAD 2.0's
    script.
    """

    name = "f1"

    def score(self, sample: Sample, output: Output) -> dict[str, float]:
        """Return `f1` and `f1_exact`, or nothing for a sample without references."""
        if not sample.references:
            return {}
        said = squad_tokens(output.text)
        return {
            "f1": max(token_f1(output.text, text) for text in sample.references),
            "f1_exact": float(any(said == squad_tokens(text) for text in sample.references)),
        }

    def measure(self, metric: str) -> Measure | None:
        """Return a mean for `f1`, a proportion for `f1_exact`."""
        if metric not in ("f1", "f1_exact"):
            return None
        return Measure(kind=MetricKind.MEAN if metric == "f1" else MetricKind.PROPORTION)
