"""A judge held against people."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

THRESHOLD = 0.4
"""Kappa that the lower end of the interval must reach; above it Landis and Koch (1977) call agreement moderate."""
LEAST = 30
"""Labels below which no judge may gate, whatever they say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """An estimate with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the labels showed."""

    kappa: Figure | None
    """Agreement beyond chance: Cohen's, with quadratic weights on a scale. None when everyone gave one label only."""
    agreement: float
    """Share of samples on which judge and people gave the same label."""
    labels: int
    threshold: float
    people: float
    """Mean of the people's labels."""
    judged: float
    """Mean of the judge's scores over the whole run."""
    corrected: Figure | None
    """The mean that people would have given the whole run: prediction-powered. None without unlabelled samples."""
    reason: str
    """Why the judge may or may not gate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """One measurement of one judge on one metric; the newest of a judge counts."""

    id: str
    judge: str
    """Digest of all that makes the judge: scorer, options, model, wording."""
    scorer: str
    options: dict[str, Any]
    metric: str
    run_id: str
    figures: Figures
    may_gate: bool
    actor: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Label:
    """What a person says of a sample."""

    sample_id: str
    value: float
