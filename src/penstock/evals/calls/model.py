"""A call and what is known of it."""

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec

from penstock.evals.model import Output

TARGET = "target"
JUDGE = "judge"


@dataclass(frozen=True, slots=True)
class Call:
    """One question to something that answers, known by the digest of all that decides the answer."""

    digest: str
    role: str
    """`target` or `judge`."""
    sample_id: str
    shared: bool = False
    """Whether other runs may use the answer; else the digest names the run."""


@dataclass(frozen=True, slots=True)
class Paid:
    """An answered call with its price."""

    call: Call
    output: Output


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What a run's calls came to so far."""

    cost_usd: float = 0.0
    answered: int = 0
    lost: int = 0
    """Calls that were sent by a process that died before their answer was stored: they may have been paid."""

    @property
    def likely_usd(self) -> float:
        """What was paid, with lost calls at the mean price of the others."""
        return self.cost_usd * (1 + self.lost / self.answered) if self.answered else self.cost_usd


def digest(*parts: Any) -> str:
    """Return the SHA-256, in hex, of JSON values: equal for equal content, whatever the order of keys."""
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()
