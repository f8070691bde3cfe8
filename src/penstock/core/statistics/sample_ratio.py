"""Whether a split gave every arm the share that it was told to give."""

import math
from collections.abc import Sequence

PRIOR = 100.0
"""Weight of the prior, in units: how closely around the expected shares a mismatch is looked for."""


def log_mismatch_evidence(counts: Sequence[int], shares: Sequence[float], *, prior: float = PRIOR) -> float:
    """Return ln E that units (users, or calls) are not spread over the arms by `shares`.

    E is the Bayes factor of shares drawn from a Dirichlet distribution around `shares` to `shares` themselves: a
    martingale from 1 while the split works, so P(E ever reaches 1/alpha) <= alpha however often one looks. Add the
    logarithms over stretches with different shares. A count where the share is 0 is a certain mismatch (infinity).
    Source: Lindon and Malek, Anytime-Valid Inference for Multinomial Count Data, NeurIPS 2022, eq. 5.
    """
    total = sum(shares)
    kept = [(count, share / total) for count, share in zip(counts, shares, strict=True) if share > 0]
    if sum(count for count, _ in kept) != sum(counts):
        return math.inf
    if len(kept) < 2:
        return 0.0
    seen = sum(counts)
    out = math.lgamma(prior) - math.lgamma(prior + seen)
    for count, share in kept:
        out += math.lgamma(prior * share + count) - math.lgamma(prior * share) - count * math.log(share)
    return out
