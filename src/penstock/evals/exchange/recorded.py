"""What an import reads, whatever program wrote it."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from penstock.core.errors import Invalid

MAX_BYTES = 256 * 1024 * 1024
"""Larger logs are refused: an import holds all samples in memory."""
SUFFIX_LIMIT = 180


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedSample:
    """One sample with what was answered and what it scored."""

    id: str
    messages: tuple[Mapping[str, Any], ...]
    references: tuple[str, ...] = ()
    text: str = ""
    error: str | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    latency_s: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None

    @property
    def content_hash(self) -> str:
        """SHA-256 of messages and references, as of samples that were run here."""
        return hashlib.sha256(canonical([self.messages, self.references])).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRun:
    """A finished run of another program."""

    format: str
    """inspect, lm-eval, garak or pyrit."""
    suite: str
    model: str
    dataset: str
    samples: tuple[RecordedSample, ...]
    lower_is_better: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    """What could not be taken over, in plain words."""

    def metrics(self) -> dict[str, dict[str, Any]]:
        """Return how to read each metric: a proportion when every value is 0 or 1, else a mean."""
        values: dict[str, set[float]] = {}
        for sample in self.samples:
            for name, value in sample.scores.items():
                values.setdefault(name, set()).add(value)
        return {
            name: {
                "kind": "proportion" if found <= {0.0, 1.0} else "mean",
                "higher_is_better": name not in self.lower_is_better,
                "unit": "fraction" if all(0 <= value <= 1 for value in found) else "",
            }
            for name, found in sorted(values.items())
        }


def canonical(value: Any) -> bytes:
    """Return JSON with sorted keys."""
    return msgspec.json.encode(value, order="deterministic")


def document(content: bytes, what: str) -> Any:
    """Return decoded JSON; raises Invalid saying `what` it should have been."""
    try:
        return msgspec.json.decode(content)
    except msgspec.DecodeError as error:
        raise Invalid(f"This is no {what}: {error}.") from error


def lines(content: bytes, what: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number, object) of JSONL, blank lines left aside; raises Invalid naming the line."""
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found = msgspec.json.decode(line)
        except msgspec.DecodeError as error:
            raise Invalid(f"Line {number} is no {what}: {error}.") from error
        if not isinstance(found, dict):
            raise Invalid(f"Line {number} is no {what}: it is not an object.")
        yield number, found


def text_of(content: Any) -> str:
    """Return a message's content as text: of a list of parts, the text parts joined."""
    if isinstance(content, str):
        return content
    if isinstance(content, Mapping):
        return text_of(content.get("text") or "")
    if isinstance(content, list):
        return "".join(text_of(part) for part in content)
    return ""


def number_of(value: Any) -> float | None:
    """Return a score as a number, or None for what is none: booleans count 1 and 0."""
    if isinstance(value, bool | int | float):
        return float(value) if value == value else None
    return None


def unique(samples: Iterable[RecordedSample]) -> tuple[RecordedSample, ...]:
    """Return the samples with ids made unique: a second one of the same name gets `#2`."""
    seen: dict[str, int] = {}
    made = []
    for sample in samples:
        name = sample.id[:SUFFIX_LIMIT]
        seen[name] = seen.get(name, 0) + 1
        made.append(replace(sample, id=name if seen[name] == 1 else f"{name}#{seen[name]}"))
    return tuple(made)


def counted(left: Mapping[str, int], words: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Return one sentence for each (key, sentence with {n}) whose count is not 0."""
    return tuple(text.format(n=left[key]) for key, text in words if left.get(key))
