"""Nouns of papers."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """An Ed25519 key that signs manifests; the private half is sealed by the home's vault."""

    key_id: str
    """SHA-256 (hex) of the 32 bytes of the public half."""
    public: str
    """The public half, base64."""
    sealed: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What checking a signed manifest against files found."""

    signed: bool
    """Whether there is a manifest at all."""
    key_id: str = ""
    problems: tuple[str, ...] = ()
    """What does not hold; none when it is signed: everything does."""

    @property
    def holds(self) -> bool:
        """Whether there is a manifest and everything it says is so."""
        return self.signed and not self.problems
