"""What a project keeps of its traces, for how long, and what of them it never stores: nouns and pure rules."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
import re2

from penstock.core import plugins
from penstock.core.errors import Invalid

MAX_RULES = 100
CONDITIONS = (
    "route",
    "environment",
    "service",
    "model",
    "provider",
    "kind",
    "prompt",
    "tag",
    "user",
    "session",
    "key",
)
"""What a sampling rule may ask of a trace: some span of it has the value."""

KeyAction = Literal["drop", "hash", "mask"]


class Retention(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long traces stay; None takes the setting, 0 keeps all."""

    days: int | None = None
    """Traces older than this many days go."""
    traces: int | None = None
    """Of more traces than this the oldest go."""


class Keep(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Traces that are kept whatever the rate says: each condition that is given suffices."""

    errors: bool = False
    """A span failed."""
    slower_than_ms: float | None = None
    costlier_than_usd: float | None = None
    scores_below: dict[str, float] = {}
    """A score or feedback of this name is below this value."""
    judged: bool = False
    """Somebody gave feedback, or a score was recorded."""


class SamplingRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which share of some traces is kept."""

    name: str
    rate: float
    """Share of the traces that stay, 0 to 1, chosen by trace id: everywhere the same ones."""
    where: dict[str, str] = {}
    """Conditions (see CONDITIONS) that must all hold; none: every trace."""
    keep: Keep | None = None


class Pattern(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Text that matches the RE2 expression is replaced."""

    name: str
    pattern: str
    replacement: str | None = None
    """None: `[NAME]`."""


class KeyRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What becomes of values under keys: attributes, metadata, and objects inside input and output."""

    key: str
    """Name with `*` and `?`, any case; also `user`, `session`, `input`, `output`, `tags`, `error`."""
    action: KeyAction = "drop"


class Masking(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is taken out of spans before they are stored."""

    detectors: dict[str, dict[str, Any]] = {}
    """Plug-in of the group `penstock.maskers` → its options."""
    patterns: tuple[Pattern, ...] = ()
    keys: tuple[KeyRule, ...] = ()


class Policies(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything a project decided about keeping its traces."""

    retention: Retention = Retention()
    sampling: tuple[SamplingRule, ...] = ()
    """The first rule whose conditions hold decides; a trace that no rule is about stays."""
    masking: Masking = Masking()


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A project's policies, and who set them."""

    policies: Policies
    updated_at: datetime | None = None
    updated_by: str | None = None


class LetGo(msgspec.Struct, frozen=True, kw_only=True):
    """Traces that a policy removed on one day (UTC); their sums stayed."""

    day: str
    reason: str
    """`age`, `count` or `sampling: <rule>`."""
    traces: int
    spans: int


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What a sampling rule looks at."""

    trace_id: bytes
    errors: int
    duration_ns: int
    cost_nano: int
    scores: tuple[tuple[str, float | None], ...] = ()


def parse(document: Mapping[str, Any]) -> Policies:
    """Return the policies in `document`; raises Invalid for anything that could not be carried out."""
    try:
        found = msgspec.convert(document, Policies)
    except msgspec.ValidationError as error:
        raise Invalid(f"The policies cannot be read: {error}.", hint="See docs/trace-keeping.md.") from error
    _check_retention(found.retention)
    _check_sampling(found.sampling)
    check_masking(found.masking)
    return found


def _check_retention(retention: Retention) -> None:
    for name, value in (("days", retention.days), ("traces", retention.traces)):
        if value is not None and not 0 <= value < 1 << 40:
            raise Invalid(f"retention.{name} must be 0 (keep all) or more, not {value}.")


def _check_sampling(rules: tuple[SamplingRule, ...]) -> None:
    if len(rules) > MAX_RULES:
        raise Invalid(f"At most {MAX_RULES} sampling rules are possible.")
    for rule in rules:
        if not 0 <= rule.rate <= 1:
            raise Invalid(f"The rate of {rule.name!r} must be 0 to 1, not {rule.rate}.")
        if not 1 <= len(rule.name) <= 80:
            raise Invalid("A sampling rule needs a name of 1 to 80 characters.")
        for key in rule.where:
            if key not in CONDITIONS:
                raise Invalid(
                    f"A sampling rule cannot ask for {key!r}.", hint=f"Use {', '.join(CONDITIONS)}."
                )
    if len({rule.name for rule in rules}) < len(rules):
        raise Invalid("Two sampling rules have the same name.")


def check_masking(masking: Masking) -> None:
    """Raise Invalid unless every expression compiles and every detector exists and takes its options."""
    if len(masking.patterns) + len(masking.keys) > MAX_RULES:
        raise Invalid(f"At most {MAX_RULES} masking rules are possible.")
    for pattern in masking.patterns:
        compile_pattern(pattern.pattern)
    for rule in masking.keys:
        if not rule.key.strip("*? "):
            raise Invalid("A key rule needs a name: it would take everything.")
    for name, options in masking.detectors.items():
        plugins.load("maskers", name)(options)


def compile_pattern(pattern: str) -> Any:
    """Return the compiled RE2 expression; raises Invalid for a wrong one, and for one that matches nothing at all."""
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        raise Invalid(f"{pattern!r} is not a pattern: {error}.", hint="Write it in RE2's syntax.") from error
    if compiled.search("") is not None:
        raise Invalid(f"{pattern!r} matches the empty text.", hint="Make it ask for something.")
    return compiled


def chosen(trace_id: bytes, rate: float) -> bool:
    """Return whether the share `rate` holds this trace.

    By its last 56 bits, as OpenTelemetry's consistent probability sampling takes them: higher rates hold all that
    lower ones do, and every program decides alike.
    """
    return int.from_bytes(trace_id[-7:], "big") >= (1 - rate) * (1 << 56)


def kept(rule: SamplingRule, facts: Facts) -> bool:
    """Return whether a trace that `rule` is about stays."""
    return chosen(facts.trace_id, rule.rate) or (rule.keep is not None and _remarkable(rule.keep, facts))


def _remarkable(keep: Keep, facts: Facts) -> bool:
    if keep.errors and facts.errors:
        return True
    if keep.slower_than_ms is not None and facts.duration_ns > keep.slower_than_ms * 1e6:
        return True
    if keep.costlier_than_usd is not None and facts.cost_nano > keep.costlier_than_usd * 1e9:
        return True
    if keep.judged and facts.scores:
        return True
    return any(
        value is not None and name in keep.scores_below and value < keep.scores_below[name]
        for name, value in facts.scores
    )
