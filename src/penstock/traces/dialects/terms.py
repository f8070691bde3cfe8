"""What a dialect is made of."""

from dataclasses import dataclass, field

from penstock.traces.model import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One instrumentation's vocabulary."""

    name: str
    kind_keys: dict[str, dict[str, Kind]] = field(default_factory=dict)
    """Attribute → its lower-case values → our kind; a value that is not listed says nothing."""
    fields: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Our field → attribute keys, best first."""
    lists: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """`input`, `output`, `tools` or `evaluations` → prefixes of flattened lists (`<prefix>.0.message.role`)."""
    prefixes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """`metadata`, `parameters` or `prompt_variables` → prefixes whose rest is the key."""
    cache_beside: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Attribute → beginnings of its value (small letters) under which the input count leaves cached tokens out.

    Without a match the input count holds them, as OpenTelemetry says.
    """
