"""Nouns of the cache: what a route keeps, for whom, for how long, and what was found."""

from dataclasses import dataclass
from datetime import datetime

from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean
from penstock.gateway.model import Operation

ALL_ROUTES = "*"
"""The policy of every route that has none of its own."""
MODES = ("exact", "semantic")
SCOPES = ("key", "project")
HASHED = "hashed"
"""The embedder without a model: hashed character n-grams."""
MAX_TTL = 366 * 86_400
MAX_ENTRY_KB = 16 * 1024

CACHED_OPERATIONS = frozenset(Operation)
"""All of them answer from the request alone; what a request may hold that does not is in `digest.STATEFUL`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedder:
    """The model that turns texts into vectors: `hashed`, or a model of a provider."""

    provider: str = HASHED
    model: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachePolicy:
    """What one route keeps of its answers."""

    mode: str = "exact"
    """`exact`: the same request; `semantic`: also one whose last user text is nearly the same, all else equal."""
    ttl: float = 3600.0
    """Seconds an answer may be given again."""
    scope: str = "key"
    """Who may get an answer again: the `key` that asked for it, or every key of the `project`."""
    max_entry_kb: int = 256
    """Answers larger than this are not kept."""
    threshold: float = 0.95
    """Least cosine similarity of two user texts (semantic)."""
    embedder: Embedder = Embedder()

    def checked(self, name: str) -> "CachePolicy":
        """Return this policy; raises Invalid, saying what would be right."""
        where = f"The cache of {name!r}"
        if self.mode not in MODES:
            raise Invalid(f"{where} has the unknown mode {self.mode!r}.", hint=did_you_mean(self.mode, MODES))
        if self.scope not in SCOPES:
            raise Invalid(
                f"{where} has the unknown scope {self.scope!r}.", hint=did_you_mean(self.scope, SCOPES)
            )
        if not 1 <= self.ttl <= MAX_TTL:
            raise Invalid(f"{where} needs a ttl of 1 to {MAX_TTL} seconds.")
        if not 1 <= self.max_entry_kb <= MAX_ENTRY_KB:
            raise Invalid(f"{where} needs a max_entry_kb of 1 to {MAX_ENTRY_KB}.")
        if not 0.5 <= self.threshold <= 1:
            raise Invalid(f"{where} needs a threshold of 0.5 to 1.")
        if (self.embedder.provider == HASHED) == bool(self.embedder.model):
            raise Invalid(
                f"{where} names an embedder that cannot be.",
                hint="Use `hashed`, or a provider and a model of it.",
            )
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPolicy:
    """A policy under the name of its route, or `*`."""

    route: str
    policy: CachePolicy
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Hit:
    """An answer found: whole JSON in the caller's shape."""

    body: bytes
    age: float
    """Seconds since it was made."""
    kind: str
    """`exact` or `semantic`."""
    similarity: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheStats:
    """What is kept for a project, and what this process did since it started."""

    entries: int
    bytes: int
    memory_entries: int
    memory_bytes: int
    hits: int
    semantic_hits: int
    misses: int
    bypasses: int
    stored: int
    refused: int
    """Answers not kept: too large, cut short, or of an odd shape."""
    dropped: int
    """Answers kept in memory only, because the database did not keep up."""
