"""ROUGE-1 and ROUGE-2."""

from collections import Counter

from penstock.evals.scorers.rouge import Rouge, f_measure, tokens


def rouge_n(answer: str, reference: str, order: int) -> float:
    """Return the ROUGE-N F1 of two texts, 0 to 1; 0 when either has fewer than `order` words.

    Source: Lin, ROUGE: A Package for Automatic Evaluation of Summaries, ACL 2004 workshop, section 2.
    """
    said, wanted = _ngrams(tokens(answer), order), _ngrams(tokens(reference), order)
    return f_measure((said & wanted).total(), said.total(), wanted.total())


def _ngrams(words: list[str], order: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[start:] for start in range(order)), strict=False))


class Rouge1(Rouge):
    """`rouge_1`: the F1 of shared words, the best over the references."""

    name = "rouge_1"

    def compare(self, answer: str, reference: str) -> float:
        """Return the ROUGE-1 F1 of two texts."""
        return rouge_n(answer, reference, 1)


class Rouge2(Rouge):
    """`rouge_2`: the F1 of shared pairs of neighbouring words, the best over the references."""

    name = "rouge_2"

    def compare(self, answer: str, reference: str) -> float:
        """Return the ROUGE-2 F1 of two texts."""
        return rouge_n(answer, reference, 2)
