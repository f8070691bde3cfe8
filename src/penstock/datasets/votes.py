"""One label from several labelers, and how far they agree.

Dawid & Skene 1979, Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm (Applied Statistics
28, 20-28): each labeler has a confusion matrix, learnt together with the labels. Agreement is Krippendorff's alpha for
nominal data (Krippendorff 2011, Computing Krippendorff's Alpha-Reliability), which copes with missing votes.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

F64: TypeAlias = npt.NDArray[np.float64]
I64: TypeAlias = npt.NDArray[np.int64]

_ROUNDS = 200
_STILL = 1e-7


@dataclass(frozen=True, slots=True)
class Votes:
    """Votes in long form: vote i is label `label[i]` by `labeler[i]` for `item[i]`, all counted from 0."""

    item: I64
    labeler: I64
    label: I64
    items: int
    labelers: int
    labels: int

    def counts(self) -> F64:
        """Return items × labels: how many votes each label got."""
        found = np.zeros((self.items, self.labels))
        np.add.at(found, (self.item, self.label), 1)
        return found


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the votes come to."""

    probabilities: F64
    """Items × labels; rows of zeros for items without votes."""
    accuracy: F64
    """Per labeler: how often it gives the label that is probably true."""
    priors: F64
    """Share of each label."""


def majority(votes: Votes) -> Verdict:
    """Return the shares of the votes; labelers count alike."""
    counts = votes.counts()
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    return Verdict(shares, _accuracy(votes, shares), _priors(shares))


def dawid_skene(votes: Votes) -> Verdict:
    """Return the most likely labels and error rates by expectation maximisation, begun at the majority."""
    belief = majority(votes).probabilities
    voted = belief.sum(axis=1) > 0
    for _ in range(_ROUNDS):
        priors, confusion = _priors(belief), _confusion(votes, belief)
        with np.errstate(divide="ignore"):
            logs, start = np.log(confusion), np.log(priors)
        scores = np.tile(start, (votes.items, 1))
        np.add.at(scores, votes.item, logs[votes.labeler, :, votes.label])
        following = np.zeros_like(belief)
        best = scores[voted].max(axis=1, keepdims=True)
        likely = np.exp(scores[voted] - np.where(np.isfinite(best), best, 0))
        following[voted] = likely / np.maximum(likely.sum(axis=1, keepdims=True), 1e-300)
        moved = float(np.abs(following - belief).max(initial=0))
        belief = following
        if moved < _STILL:
            break
    return Verdict(belief, _accuracy(votes, belief), _priors(belief))


def _priors(belief: F64) -> F64:
    total = float(belief.sum())
    return np.asarray(belief.sum(axis=0) / total if total > 0 else np.zeros(belief.shape[1]), np.float64)


def _confusion(votes: Votes, belief: F64) -> F64:
    """Return labelers × true label × given label: how often each is given."""
    found = np.zeros((votes.labelers, votes.labels, votes.labels))
    # Indexed by the given label first, so that one addition spreads a vote over all true labels.
    np.add.at(found, (votes.labeler, votes.label), belief[votes.item])
    found = np.swapaxes(found, 1, 2)
    totals = found.sum(axis=2, keepdims=True)
    shares: F64 = np.full(found.shape, 1 / max(1, votes.labels))
    np.divide(found, totals, out=shares, where=totals > 0)
    return shares


def _accuracy(votes: Votes, belief: F64) -> F64:
    right, given = np.zeros(votes.labelers), np.zeros(votes.labelers)
    np.add.at(right, votes.labeler, belief[votes.item, votes.label])
    np.add.at(given, votes.labeler, 1)
    return np.divide(right, given, out=np.zeros_like(right), where=given > 0)


def alpha(votes: Votes) -> float | None:
    """Return Krippendorff's alpha for nominal data; None when fewer than two votes can be compared."""
    counts = votes.counts()
    sizes = counts.sum(axis=1)
    paired = counts[sizes > 1]
    sizes = sizes[sizes > 1, None]
    total = float(sizes.sum())
    if total < 2:
        return None
    agreed = float((paired * (paired - 1) / (sizes - 1)).sum())
    shares = paired.sum(axis=0)
    expected = float((shares * (shares - 1)).sum()) / (total - 1)
    if expected == total:
        return 1.0
    return 1 - (total - agreed) / (total - expected)
