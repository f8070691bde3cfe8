"""Nouns of fine-tuning at a provider."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from penstock.core.errors import Invalid
from penstock.training.recipe import Columns

METHODS = ("sft", "dpo")


class HostedState(StrEnum):
    """Where a job at a provider is."""

    QUEUED = "queued"
    """Its rows are not there yet."""
    UPLOADED = "uploaded"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


HOSTED_ENDED = frozenset({HostedState.SUCCEEDED, HostedState.FAILED, HostedState.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedPlan:
    """What a provider is asked to train."""

    provider: str
    model: str
    """The provider's own name of the base model."""
    dataset: str
    method: str = "sft"
    split: str = ""
    validation_split: str = ""
    """Split that the provider measures its validation loss on; empty means none."""
    columns: Columns = field(default_factory=Columns)
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    """As the provider names them: n_epochs, batch_size, learning_rate_multiplier, beta."""
    suffix: str = ""
    """Put into the tuned model's name by the provider."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Check; raises Invalid."""
        if self.method not in METHODS:
            raise Invalid(
                f"Providers do not offer the method {self.method!r}.", hint=f"Use {' or '.join(METHODS)}."
            )
        if not self.model:
            raise Invalid("A hosted job needs the provider's name of the base model.")

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain JSON values."""
        return asdict(self)


def hosted_plan(values: Mapping[str, Any]) -> HostedPlan:
    """Return the plan that was stored."""
    return HostedPlan(**{**values, "columns": Columns(**values["columns"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedJob:
    """One fine-tuning job at a provider."""

    id: str
    plan: HostedPlan
    dataset: str
    """Pinned version."""
    state: HostedState
    remote: dict[str, Any]
    """What the provider calls things and said last: file, validation_file, job, status, trained_tokens."""
    model: str | None
    """The tuned model's name at the provider."""
    error: str | None
    author: str
    created_at: datetime
    ended_at: datetime | None
