"""ROUGE-L."""

from penstock.evals.scorers.rouge import Rouge, f_measure, lcs_length, tokens


def rouge_l(answer: str, reference: str) -> float:
    """Return the ROUGE-L F1 of two texts, 0 to 1; 0 when either has no words.

    Source: Lin, ROUGE: A Package for Automatic Evaluation of Summaries, ACL 2004 workshop, section 3.
    """
    said, wanted = tokens(answer), tokens(reference)
    return f_measure(lcs_length(wanted, said), len(said), len(wanted))


class RougeL(Rouge):
    """`rouge_l`: the F1 of the longest common subsequence of words, the best over the references."""

    name = "rouge_l"

    def compare(self, answer: str, reference: str) -> float:
        """Return the ROUGE-L F1 of two texts."""
        return rouge_l(answer, reference)
