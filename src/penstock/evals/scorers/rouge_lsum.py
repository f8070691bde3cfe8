"""ROUGE-L of summaries."""

from collections import Counter

from penstock.evals.scorers.rouge import Rouge, f_measure, lcs_indices, tokens


def rouge_lsum(answer: str, reference: str) -> float:
    """Return the summary-level ROUGE-L F1 of two texts, 0 to 1, each line being a sentence; 0 when either has no words.

    For each sentence of the reference, the words that belong to a longest common subsequence with any
    sentence of the answer; no word counts more often than it occurs in either text.
    Source: Lin, ACL 2004 workshop, section 3.2, as ROUGE 1.5.5 computes it.
    """
    said = [tokens(line) for line in answer.split("\n")]
    wanted = [tokens(line) for line in reference.split("\n")]
    left_said = Counter(word for sentence in said for word in sentence)
    left_wanted = Counter(word for sentence in wanted for word in sentence)
    totals = left_said.total(), left_wanted.total()
    hits = 0
    for sentence in wanted:
        union: set[int] = set().union(*(lcs_indices(other, sentence) for other in said))
        for index in sorted(union):
            word = sentence[index]
            if left_said[word] > 0 and left_wanted[word] > 0:
                hits += 1
                left_said[word] -= 1
                left_wanted[word] -= 1
    return f_measure(hits, *totals)


class RougeLsum(Rouge):
    """`rouge_lsum`: ROUGE-L over the sentences of a summary, one per line, the best over the references."""

    name = "rouge_lsum"

    def compare(self, answer: str, reference: str) -> float:
        """Return the summary-level ROUGE-L F1 of two texts."""
        return rouge_lsum(answer, reference)
