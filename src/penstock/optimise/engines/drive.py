"""Puts prompts to a loaded model: to time it, or to answer an evaluation's samples."""

import json
import resource
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from penstock.core import clock
from penstock.core.errors import Invalid

PROMPTS = (
    "Hi there, how are you?",
    "My order 4711 has not arrived; what can I do?",
    "Name three things to check before a flight.",
)
"""What models are timed on: short, because small models take few tokens."""

Report = Callable[[dict[str, Any]], None]


class Timed(Protocol):
    """A model in memory that computes the likeliest tokens, one prompt at a time."""

    provider: str
    """What computes, as the library itself says."""

    def encode(self, prompt: str) -> Any:
        """Return the prompt as `stream` takes it."""
        ...

    def stream(self, prompt: Any, limit: int, *, endless: bool) -> Iterator[int]:
        """Yield at most `limit` tokens; `endless` passes over what ends an answer, so that exactly so many come."""
        ...


class Answering(Timed, Protocol):
    """One that can also be asked."""

    stops: frozenset[int]
    """Tokens that end an answer."""

    def render(self, messages: Sequence[Mapping[str, Any]], style: str) -> str:
        """Return the prompt of a conversation."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of generated tokens."""
        ...


def measure(load: Callable[[Path, int], Timed], spec: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Load the model and return its figures, see `optimise.model.Figures`.

    `spec`: `folder`, `threads`, `tokens` (per prompt), `repeats`, `asked_at` (when the parent started this process,
    on the machine's monotonic clock). Raises Invalid when the model gave fewer tokens
    than were asked for, for then speeds could not be compared.
    """
    limit = int(spec["tokens"])
    began = clock.monotonic()
    runner = load(Path(spec["folder"]), int(spec["threads"]))
    loaded = clock.monotonic()
    asked = [runner.encode(prompt) for prompt in PROMPTS]
    first = next(iter(runner.stream(asked[0], 2, endless=True)), None)
    if first is None:
        raise Invalid("The model gave no token at all.")
    ready = clock.monotonic()
    report({"stage": "timing", "load_s": loaded - began})
    waits: list[float] = []
    made_in: list[tuple[int, float]] = []
    for _ in range(int(spec["repeats"])):
        for prompt in asked:
            wait, rest, made = _timed(runner, prompt, limit)
            waits.append(wait)
            made_in.append((made, rest))
    return {
        "load_s": loaded - began,
        "start_s": ready - float(spec["asked_at"]),
        "memory_bytes": peak_memory(),
        "tokens_per_s": sum(made - 1 for made, _ in made_in) / sum(rest for _, rest in made_in),
        "first_token_s": statistics.median(waits),
        "prompts": len(waits),
        "tokens": sum(made for made, _ in made_in),
        "provider": runner.provider,
    }


def _timed(runner: Timed, prompt: Any, limit: int) -> tuple[float, float, int]:
    """Return the seconds to the first token, those of the rest, and how many tokens came."""
    began, first, made = clock.monotonic(), 0.0, 0
    for _token in runner.stream(prompt, limit, endless=True):
        made += 1
        if made == 1:
            first = clock.monotonic()
    ended = clock.monotonic()
    if made < limit:
        raise Invalid(
            f"The model stopped after {made} of {limit} tokens.",
            hint="Measure with fewer tokens than its context takes.",
        )
    return first - began, ended - first, made


def peak_memory() -> int:
    """Return the most bytes this process ever held.

    On Linux VmHWM of proc(5), because ru_maxrss also counts what the process was before it became this program.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


_KNOWN = {"samples", "folder", "max_tokens", "threads", "prompt_style", "name"}


def answer(load: Callable[[Path, int], Answering], spec: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Answer every sample of `spec["samples"]` greedily, reporting each one: a target of evaluations."""
    unknown = sorted(set(spec) - _KNOWN)
    if unknown:
        raise Invalid(
            f"The target has no option {unknown[0]!r}.", hint=f"It knows {', '.join(sorted(_KNOWN))}."
        )
    if not spec.get("folder"):
        raise Invalid("The target needs a model.", hint="Give model: NAME@VERSION, or folder: PATH.")
    lines = Path(spec["samples"]).read_bytes().splitlines()
    samples = [json.loads(line) for line in lines if line]
    runner = load(Path(spec["folder"]), int(spec.get("threads", 1)))
    style, limit = str(spec.get("prompt_style", "chat")), int(spec.get("max_tokens", 256))
    for sample in samples:
        report({"outputs": [_output(runner, sample, style, limit)]})
    return {"answered": len(samples)}


def _output(runner: Answering, sample: Mapping[str, Any], style: str, limit: int) -> dict[str, Any]:
    prompt = runner.encode(runner.render(sample["messages"], style))
    kept: list[int] = []
    first: float | None = None
    began, ended = clock.monotonic(), False
    for token in runner.stream(prompt, limit, endless=False):
        first = clock.monotonic() if first is None else first
        if token in runner.stops:
            ended = True
            break
        kept.append(token)
    return {
        "sample_id": sample["id"],
        "text": runner.decode(kept),
        "latency_s": clock.monotonic() - began,
        "ttft_s": None if first is None else first - began,
        "input_tokens": len(prompt),
        "output_tokens": len(kept),
        "finish_reason": "stop" if ended else "length",
    }


def run(load: Callable[[Path, int], Answering], spec: Mapping[str, Any], report: Report) -> dict[str, Any]:
    """Answer the samples where there are some, time the model otherwise."""
    return answer(load, spec, report) if "samples" in spec else measure(load, spec, report)
