"""Nouns of files and batches, and how OpenAI's API shows them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from penstock.core.scope import Scope

PURPOSES = ("assistants", "batch", "fine-tune", "vision", "user_data", "evals")
"""What a file may be uploaded for."""
OUTPUT = "batch_output"
ENDPOINTS = ("/v1/chat/completions", "/v1/responses", "/v1/completions", "/v1/embeddings", "/v1/moderations")
"""What a batch may call."""
WINDOW = "24h"
WINDOW_HOURS = 24


class BatchState(StrEnum):
    """Where a batch is, in OpenAI's words."""

    VALIDATING = "validating"
    FAILED = "failed"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self in (BatchState.FAILED, BatchState.COMPLETED, BatchState.EXPIRED, BatchState.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """An uploaded file, or the result of a batch."""

    id: str
    scope: Scope
    owner: str
    """Id of the key or person that brought it."""
    filename: str
    purpose: str
    size: int
    sha256: str
    """Name of its blob, which begins with a line of its own (see `salt`)."""
    created_at: datetime
    expires_at: datetime | None = None

    @property
    def salt(self) -> bytes:
        """The blob's first line: it makes blobs of equal files differ, so that deleting one harms no other."""
        return f"penstock file {self.id}\n".encode()

    def shown(self) -> dict[str, Any]:
        """Return OpenAI's file object."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": self.size,
            "created_at": int(self.created_at.timestamp()),
            "expires_at": None if self.expires_at is None else int(self.expires_at.timestamp()),
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A batch and what became of it."""

    id: str
    scope: Scope
    owner: str
    job_id: str
    endpoint: str
    input_file: str
    window: str
    metadata: Mapping[str, str] | None
    output_seconds: int | None
    """Life of the result files; None keeps them."""
    state: BatchState
    errors: tuple[Mapping[str, Any], ...] = ()
    output_file: str | None = None
    error_file: str | None = None
    total: int = 0
    completed: int = 0
    failed: int = 0
    created_at: datetime
    expires_at: datetime
    moments: Mapping[str, int] = field(default_factory=dict)
    """State → seconds since the epoch at which it began."""

    def shown(self) -> dict[str, Any]:
        """Return OpenAI's batch object."""
        return {
            "id": self.id,
            "object": "batch",
            "endpoint": self.endpoint,
            "errors": {"object": "list", "data": list(self.errors)} if self.errors else None,
            "input_file_id": self.input_file,
            "completion_window": self.window,
            "status": str(self.state),
            "output_file_id": self.output_file,
            "error_file_id": self.error_file,
            "created_at": int(self.created_at.timestamp()),
            "expires_at": int(self.expires_at.timestamp()),
            **{f"{state}_at": self.moments.get(state) for state in BatchState if state != "validating"},
            "request_counts": {"total": self.total, "completed": self.completed, "failed": self.failed},
            "metadata": None if self.metadata is None else dict(self.metadata),
        }


class Line(NamedTuple):
    """One finished line of a batch."""

    number: int
    """Its place in the input file, from 1."""
    good: bool
    """Whether it was answered with a 2xx, and so belongs into the output file, not the error file."""
    result: bytes
    """The result as JSON, without a line's end."""
