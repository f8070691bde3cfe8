"""Ranking by pairwise comparisons: Bradley-Terry strengths with Davidson's ties, and bootstrap ranks."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from penstock.core.statistics.interval import Interval

Floats = NDArray[np.float64]

_MOST_STEPS = 20_000
_EXACT = 1e-9
_RESAMPLED = 1e-5
_RESAMPLES_AT_ONCE = 250


@dataclass(frozen=True, slots=True, kw_only=True)
class Strengths:
    """A fitted model: P(i beats j) : P(j beats i) : P(tie) = p_i : p_j : tie·sqrt(p_i·p_j)."""

    log_strengths: tuple[float, ...]
    """Natural logarithms of p, in the order of the items; they add up to 0."""
    tie: float
    """0 when nothing tied; two equal items tie with probability tie/(2 + tie)."""

    def win_probability(self, first: int, second: int) -> float:
        """Return P(first beats second): neither a tie nor a defeat."""
        gap = self.log_strengths[first] - self.log_strengths[second]
        return float(1.0 / (1.0 + np.exp(-gap) + self.tie * np.exp(-gap / 2)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """One item's place among the others."""

    item: int
    log_strength: Interval
    """`n` is the number of comparisons that the item took part in."""
    rank: int
    """1 is the best; 1 + the number of stronger items."""
    rank_low: int
    """The best rank within the bootstrap's confidence."""
    rank_high: int
    """The worst rank within the bootstrap's confidence."""


def _tables(wins: ArrayLike, ties: ArrayLike | None, prior: float) -> tuple[Floats, Floats]:
    """Return wins[i, j] = how often i beat j, and ties symmetric; the prior's wins are not included."""
    won = np.asarray(wins, dtype=np.float64)
    tied = np.zeros_like(won) if ties is None else np.asarray(ties, dtype=np.float64)
    if won.ndim != 2 or won.shape[0] != won.shape[1] or len(won) < 2 or tied.shape != won.shape:
        raise ValueError("wins and ties are square tables of at least two items")
    if np.any(won < 0) or np.any(tied < 0) or np.any(tied != tied.T):
        raise ValueError("counts are not negative, and ties[i, j] equals ties[j, i]")
    if np.any(np.diag(won)) or np.any(np.diag(tied)):
        raise ValueError("an item is not compared with itself")
    if prior < 0:
        raise ValueError("the prior is a number of wins and not negative")
    return won, tied


def _has_finite_maximum(won: Floats, tied: Floats) -> bool:
    """Say whether finite strengths, and a finite tie, maximise the likelihood.

    Without ties: every item is reached from every other by going from winners to losers (Ford, American
    Mathematical Monthly 64 (1957) 28-33). With ties the likelihood also rises for ever when strengths d exist
    with d_i - d_j >= 1 for every win of i over j and |d_i - d_j| <= 1 for every tie, the tie growing along:
    difference constraints, which hold together unless their graph has a negative cycle.
    """
    path = np.where(won > 0, -1.0, np.where(tied > 0, 1.0, np.inf))
    np.fill_diagonal(path, 0.0)
    for via in range(len(path)):
        path = np.maximum(np.minimum(path, path[:, via, None] + path[None, via, :]), -1e9)
    connected = bool(np.isfinite(path).all())
    return connected and (not tied.any() or bool(np.any(np.diag(path) < 0)))


def _fit(won: Floats, tied: Floats, tolerance: float) -> tuple[Floats, Floats]:
    """Fit a stack of tables, shape (b, k, k); return log-strengths (b, k) and ties (b,).

    Hunter's minorisation: -log D lies above its tangent, and sqrt(p_i·p_j) below the mean of p_i·r and
    p_j/r with r the present sqrt(p_j/p_i); each step's maximum is then explicit and never goes downhill.
    """
    met = won + won.transpose(0, 2, 1) + tied
    score = (won + tied / 2).sum(axis=2)
    drawn, total = tied.sum(axis=(1, 2)) / 2, met.sum(axis=(1, 2)) / 2
    root, tie = np.ones(score.shape), np.where(drawn > 0, drawn / np.maximum(total - drawn, 0.5), 0.0)
    for _ in range(_MOST_STEPS):
        square = root**2
        products = root[:, :, None] * root[:, None, :]
        over = met / (square[:, :, None] + square[:, None, :] + tie[:, None, None] * products)
        # root_j/root_i is the present sqrt(p_j/p_i).
        slope = (over * (1 + tie[:, None, None] / 2 * root[:, None, :] / root[:, :, None])).sum(axis=2)
        gap = np.abs(score - square * slope).max(axis=1)
        rate = (over * products).sum(axis=(1, 2)) / 2
        gap = np.maximum(gap, np.abs(drawn - tie * rate))
        if np.all(gap <= tolerance * total):
            return 2 * np.log(root), tie
        root = np.sqrt(score / slope)
        root /= np.exp(np.log(root).mean(axis=1, keepdims=True))
        products = root[:, :, None] * root[:, None, :]
        square = root**2
        over = met / (square[:, :, None] + square[:, None, :] + tie[:, None, None] * products)
        tie = drawn / ((over * products).sum(axis=(1, 2)) / 2)
    raise ValueError(f"the strengths did not settle in {_MOST_STEPS} steps; give a larger prior")


def _with_prior(won: Floats, prior: float) -> Floats:
    return won + prior * (1 - np.eye(won.shape[-1]))


def bradley_terry(wins: ArrayLike, ties: ArrayLike | None = None, *, prior: float = 0.0) -> Strengths:
    """Return the maximum-likelihood strengths of items compared in pairs.

    `wins[i, j]` counts how often i beat j; `ties` is symmetric, `ties[i, j]` counting the ties of the pair.
    `prior` adds so many wins each way to every pair. Raises ValueError when no finite maximum exists (some
    items never lost to the rest, or were never compared with it) and no prior is given.
    Sources: Bradley and Terry, Biometrika 39 (1952) 324-345; ties: Davidson, JASA 65 (1970) 317-328;
    algorithm: minorisation of Hunter, Annals of Statistics 32 (2004) 384-406, applied to Davidson's model.
    """
    won, tied = _tables(wins, ties, prior)
    if prior == 0 and not _has_finite_maximum(won, tied):
        raise ValueError(
            "no finite strengths exist: some items never lost to the others or never met them; give a prior"
        )
    strengths, tie = _fit(_with_prior(won, prior)[None], tied[None], _EXACT)
    return Strengths(log_strengths=tuple(float(s) for s in strengths[0]), tie=float(tie[0]))


def _resample(won: Floats, tied: Floats, size: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return `size` tables of as many comparisons, drawn with replacement."""
    k = len(won)
    upper = np.triu_indices(k, 1)
    counts = np.concatenate([won.ravel(), tied[upper]])
    draws = rng.multinomial(round(counts.sum()), counts / counts.sum(), size=size).astype(np.float64)
    drawn_ties = np.zeros((size, k, k))
    drawn_ties[:, upper[0], upper[1]] = draws[:, k * k :]
    return draws[:, : k * k].reshape(size, k, k), drawn_ties + drawn_ties.transpose(0, 2, 1)


def _drawn_strengths(
    won: Floats, tied: Floats, prior: float, rng: np.random.Generator, resamples: int
) -> Floats:
    """Return the log-strengths of every resample, shape (resamples, items)."""
    parts = []
    for start in range(0, resamples, _RESAMPLES_AT_ONCE):
        drawn, even = _resample(won, tied, min(_RESAMPLES_AT_ONCE, resamples - start), rng)
        parts.append(_fit(_with_prior(drawn, prior), even, _RESAMPLED)[0])
    return np.vstack(parts)


def _ranks(strengths: Floats) -> NDArray[np.int64]:
    """Return 1 + the number of stronger items, along the last axis; what differs by rounding is equal."""
    stronger = strengths[..., None, :] > strengths[..., :, None] + 1e-6
    return np.asarray(1 + stronger.sum(axis=-1), dtype=np.int64)


def bootstrap_ranks(
    wins: ArrayLike,
    ties: ArrayLike | None = None,
    *,
    prior: float = 0.1,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Sequence[Ranked]:
    """Return every item's strength and rank with percentile bootstrap intervals, best item first.

    `wins`, `ties` (whole counts) and `prior` are as in `bradley_terry`; a prior above 0 keeps resamples
    finite in which an item won or lost everything. Single comparisons are drawn anew, so they must be
    independent. Each rank interval is one item's own; together they err more often than 1 - `confidence`.
    Sources: as `bradley_terry`; percentile method: Efron and Tibshirani, An Introduction to the Bootstrap
    (1993), chapter 13.
    """
    won, tied = _tables(wins, ties, prior)
    if prior == 0:
        raise ValueError("a resample may have no finite strengths without a prior")
    if won.sum() + tied.sum() == 0:
        raise ValueError("at least one comparison is needed")
    fitted = np.array(bradley_terry(won, tied, prior=prior).log_strengths)
    draws = _drawn_strengths(won, tied, prior, np.random.default_rng(seed), resamples)
    levels = ((1 - confidence) / 2, (1 + confidence) / 2)
    low, high = np.quantile(draws, levels, axis=0)
    best = np.quantile(_ranks(draws), levels[0], axis=0, method="lower")
    worst = np.quantile(_ranks(draws), levels[1], axis=0, method="higher")
    places, met = _ranks(fitted), (won + won.T + tied).sum(axis=1)
    found = [
        Ranked(
            item=i,
            log_strength=Interval(
                value=float(fitted[i]),
                low=float(low[i]),
                high=float(high[i]),
                n=round(met[i]),
                method="bootstrap_percentile",
                confidence=confidence,
            ),
            rank=int(places[i]),
            rank_low=int(best[i]),
            rank_high=int(worst[i]),
        )
        for i in range(len(won))
    ]
    return sorted(found, key=lambda ranked: (ranked.rank, ranked.item))
