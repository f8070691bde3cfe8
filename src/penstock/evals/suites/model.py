"""A suite that is kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSuite:
    """A suite under its name, as it was last put."""

    name: str
    spec: Mapping[str, Any]
    """What `parse_suite` takes; keys given in the clear are not kept."""
    updated_at: datetime
    updated_by: str
