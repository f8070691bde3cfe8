"""Token classes of one call, kept apart as `model.SpanRecord` says, whichever way its instrumentation counts.

Sources: OpenTelemetry GenAI (`gen_ai.usage.input_tokens` is everything, cached tokens included), OpenAI's and
Anthropic's API references for the objects that Langfuse, LangSmith and MLflow pass on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from penstock.traces import dialects, documents
from penstock.traces.reading import Reading

_MOST = 1 << 40
_FINER = frozenset({"audio_input", "image_input", "audio_output", "image_output"})
_CONDITIONS = tuple(
    (dialect, tuple(dialect.cache_beside.items())) for dialect in dialects.DIALECTS if dialect.cache_beside
)


@dataclass(slots=True, kw_only=True)
class Counts:
    """What a call used; `input` and `output` are totals."""

    input: int = 0
    output: int = 0
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0
    finer: dict[str, int] = field(default_factory=dict)

    @property
    def any(self) -> bool:
        """Whether anything was counted."""
        return bool(self.input or self.output)


def number(value: Any) -> int:
    """Return a token count: JSON and some SDKs send numbers as text or float."""
    if type(value) is int:
        return value if 0 <= value < _MOST else 0
    try:
        found = int(float(value)) if value is not None and not isinstance(value, bool) else 0
    except (TypeError, ValueError, OverflowError):
        return 0
    return found if 0 <= found < _MOST else 0


def of(reading: Reading, attributes: Mapping[str, Any]) -> Counts:
    """Return what the call used; all 0 when its instrumentation does not say."""
    value = reading.values.get
    found = Counts(
        input=number(value("input_tokens")),
        output=number(value("output_tokens")),
        cached=number(value("cached_tokens")),
        cache_write=number(value("cache_write_tokens")),
        reasoning=number(value("reasoning_tokens")),
    )
    if not _FINER.isdisjoint(reading.values):
        found.finer = {name: count for name in sorted(_FINER) if (count := number(value(name)))}
    total, beside = number(value("total_tokens")), False
    if "usage" in reading.values and not found.any and (usage := documents.as_object(value("usage"))):
        found, total, beside = _of_object(usage)
    cache = found.cached + found.cache_write
    return _whole(found, total, bool(cache) and (beside or _counts_beside(reading, attributes)))


def _counts_beside(reading: Reading, attributes: Mapping[str, Any]) -> bool:
    """Whether a dialect's rule says that the input was counted without the cached tokens."""
    for dialect, conditions in _CONDITIONS:
        if reading.key("cached_tokens").startswith("ai.usage.inputTokenDetails."):
            return False  # the Vercel AI SDK 6 counts as OpenTelemetry does
        for key, starts in conditions:
            said = attributes.get(key)
            if isinstance(said, str) and said.lower().strip('"').startswith(starts):
                return _by(dialect, reading)
    return False


def _by(dialect: dialects.Dialect, reading: Reading) -> bool:
    keys = dialect.fields
    return reading.key("input_tokens") in keys.get("input_tokens", ()) or reading.key("usage") in keys.get(
        "usage", ()
    )


def _whole(found: Counts, total: int, beside: bool) -> Counts:
    """Make totals of the input and the output from what was said, and keep the parts within them."""
    if not found.input and total > found.output:
        found.input = total - found.output
    elif not found.output and total > found.input:
        found.output = total - found.input
    cache = found.cached + found.cache_write
    if cache and total and total == found.input + found.output + cache:
        beside = True  # the sum says so itself
    if cache and (beside or cache > found.input):
        # A part cannot exceed the whole: this instrumentation counts the cache beside the input.
        found.input += cache
    found.reasoning = min(found.reasoning, found.output)
    return found


def _of_object(usage: Mapping[str, Any]) -> tuple[Counts, int, bool]:
    """Return counts, total, and whether the input leaves cached tokens out, from a usage object of some API.

    OpenAI's `prompt_tokens`, `input_tokens` with `…_details` and LangChain's `input_token_details` hold the cached
    ones; Anthropic's `input_tokens` with `cache_read_input_tokens` beside it, and Langfuse's `input`, do not.
    """
    given = _first(usage, "prompt_tokens_details", "input_tokens_details", "input_token_details")
    written = _first(usage, "completion_tokens_details", "output_tokens_details", "output_token_details")
    read, wrote = documents.as_object(given), documents.as_object(written)
    found = Counts(
        input=number(_first(usage, "prompt_tokens", "input_tokens", "promptTokens", "inputTokens", "input")),
        output=number(
            _first(usage, "completion_tokens", "output_tokens", "completionTokens", "outputTokens", "output")
        ),
    )
    inside = number(_first(read, "cached_tokens", "cache_read"))
    aside = number(_first(usage, "cache_read_input_tokens", "input_cached_tokens", "input_cache_read"))
    found.cached = inside or aside or number(_first(usage, "cached_tokens", "cachedInputTokens"))
    found.cache_write = number(_first(read, "cache_creation", "cache_write_tokens")) or number(
        _first(usage, "cache_creation_input_tokens", "input_cache_creation")
    )
    found.reasoning = number(_first(wrote, "reasoning_tokens", "reasoning")) or number(
        usage.get("reasoning_tokens")
    )
    apart = number(usage.get("output_reasoning_tokens", usage.get("output_reasoning")))
    if apart and not found.reasoning:
        # Langfuse's classes do not overlap.
        found.reasoning, found.output = apart, found.output + apart
    for name, source in (("audio_input", read), ("audio_output", wrote)):
        if count := number(_first(source, "audio_tokens", "audio")):
            found.finer[name] = count
    total = number(_first(usage, "total_tokens", "totalTokens", "total"))
    apart_too = not inside and "prompt_tokens" not in usage and bool(aside or found.cache_write)
    return found, total, apart_too and not read


def _first(value: Mapping[str, Any], *names: str) -> Any:
    return next((value[name] for name in names if value.get(name) is not None), None)
