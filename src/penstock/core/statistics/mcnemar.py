"""McNemar's exact test for paired yes/no outcomes."""

from penstock.core.statistics.beta import beta_cdf


def mcnemar_exact(gained: int, lost: int) -> float:
    """Return the two-sided p-value that gains and losses among the discordant pairs are equally likely.

    Twice the smaller binomial tail with probability one half, at most 1; no discordant pair gives 1.
    Source: McNemar, Psychometrika 12 (1947) 153-157; exact form in Fagerland, Lydersen and Laake,
    BMC Medical Research Methodology 13 (2013) 91.
    """
    n, k = gained + lost, min(gained, lost)
    if n == 0:
        return 1.0
    # P(Bin(n, 1/2) <= k) = I_{1/2}(n - k, k + 1).
    return min(1.0, 2.0 * beta_cdf(0.5, n - k, k + 1))
