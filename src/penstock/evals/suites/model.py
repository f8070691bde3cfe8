"""A suite that is kept."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

VERSION_DIGITS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSuite:
    """A suite under its name, as it was last put."""

    name: str
    spec: Mapping[str, Any]
    """What `parse_suite` takes; keys given in the clear are not kept."""
    updated_at: datetime
    updated_by: str

    @property
    def version(self) -> str:
        """Return what names this content: the first 12 hex digits of the SHA-256 of its canonical JSON."""
        text = json.dumps(self.spec, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:VERSION_DIGITS]
