"""Whether rare events fall on one side of a split more often than its share: exact, from the first event on."""

import math

from penstock.core.statistics.beta import beta_cdf


def log_excess_evidence(events: int, others: int, share: float) -> float:
    """Return ln E that a side with `share` of the traffic gets more than its share of the events.

    `events` fell on it and `others` elsewhere. If both sides are equally likely to have the event, each event falls on
    the side with probability `share`, whatever the rate; E is the likelihood ratio of a share drawn uniformly from
    (`share`, 1) to that, a martingale from 1, so P(E ever reaches 1/alpha) <= alpha, exactly, however often one looks.
    Multiply (add the logarithms) over stretches with different shares.
    Source: Lindon and Malek, Anytime-Valid Inference for Multinomial Count Data, NeurIPS 2022, sections 2 and 4, with
    the uniform prior cut at `share` to test one side.
    """
    if not 0 < share < 1:
        raise ValueError("share lies strictly between 0 and 1")
    above = beta_cdf(1 - share, others + 1.0, events + 1.0)
    if above <= 0:
        return -math.inf
    whole = math.lgamma(events + 1) + math.lgamma(others + 1) - math.lgamma(events + others + 2)
    expected = events * math.log(share) + others * math.log1p(-share)
    return whole + math.log(above) - math.log1p(-share) - expected
