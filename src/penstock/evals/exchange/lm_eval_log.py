"""Sample logs of lm-evaluation-harness (`--log_samples`), read.

Format: `samples_<task>_<time>.jsonl` of lm-eval 0.4 (evaluator.py, loggers/evaluation_tracker.py): one line per
document and filter.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from penstock.core.errors import Invalid
from penstock.evals.exchange.recorded import (
    RecordedRun,
    RecordedSample,
    counted,
    document,
    lines,
    number_of,
    text_of,
    unique,
)

_BOOKKEEPING = frozenset(
    {
        "doc_id",
        "doc",
        "target",
        "arguments",
        "resps",
        "filtered_resps",
        "doc_hash",
        "prompt_hash",
        "target_hash",
        "filter",
        "metrics",
    }
)
_LOWER = frozenset(
    ("perplexity", "word_perplexity", "byte_perplexity", "bits_per_byte", "brier_score", "ter", "loss")
)
_NOTES = (
    ("values", "{n} values are no numbers per sample (corpus metrics, texts) and were left out."),
    ("unscored", "{n} samples carry no score."),
)


def read(content: bytes, results: bytes | None = None) -> RecordedRun:
    """Return the run in a sample log; `results` is the results_*.json beside it, which names task and model.

    The metrics of a filter other than `none` are called `metric,filter`, as lm-eval does. Without `results`,
    figures known to be better when lower (perplexities, TER) are read so. Raises Invalid.
    """
    left: Counter[str] = Counter()
    found: dict[str, RecordedSample] = {}
    for number, line in lines(content, "lm-eval sample"):
        if "doc_id" not in line:
            raise Invalid(
                f"Line {number} has no doc_id: this is no sample log of lm-eval.",
                hint="Run lm-eval with --log_samples and give the samples_*.jsonl file.",
            )
        sample = _sample(line, left)
        earlier = found.get(sample.id)
        if earlier is not None:
            sample = replace(earlier, scores={**earlier.scores, **sample.scores})
        found[sample.id] = sample
    if not found:
        raise Invalid("The log holds no samples.")
    left["unscored"] = sum(not sample.scores for sample in found.values())
    told = _told(results)
    lower = told["lower"] or {n for s in found.values() for n in s.scores if n.partition(",")[0] in _LOWER}
    return RecordedRun(
        format="lm-eval",
        suite=told["task"],
        model=told["model"],
        dataset=told["task"],
        samples=unique(found.values()),
        lower_is_better=frozenset(lower),
        notes=counted(left, _NOTES),
    )


def _told(results: bytes | None) -> dict[str, Any]:
    if results is None:
        return {"task": "lm-eval", "model": "", "lower": set()}
    read_results = document(results, "results file of lm-eval")
    if not isinstance(read_results, dict) or not isinstance(read_results.get("results"), dict):
        raise Invalid("This is no results file of lm-eval: it has no `results`.")
    tasks = list(read_results["results"])
    config = read_results.get("config") or {}
    better = (read_results.get("higher_is_better") or {}).get(tasks[0] if tasks else "", {})
    return {
        "task": tasks[0] if len(tasks) == 1 else "lm-eval",
        "model": str(read_results.get("model_name") or config.get("model") or ""),
        "lower": {name for name, higher in better.items() if higher is False},
    }


def _sample(line: Mapping[str, Any], left: Counter[str]) -> RecordedSample:
    suffix = "" if line.get("filter") in (None, "none") else f",{line['filter']}"
    scores = {}
    for name in line.get("metrics") or [key for key in line if key not in _BOOKKEEPING]:
        value = number_of(line.get(name))
        if value is None:
            left["values"] += 1
        else:
            scores[f"{name}{suffix}"] = value
    asked = list(_asked(line.get("arguments")))
    return RecordedSample(
        id=str(line["doc_id"]),
        messages=_messages(asked[0][0] if asked else text_of(line.get("doc"))),
        references=_references(line.get("target")),
        text=_answer(line.get("resps"), asked),
        scores=scores,
    )


def _asked(arguments: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (context, continuation or settings) of each request, in both ways lm-eval has written them."""
    for one in arguments.values() if isinstance(arguments, Mapping) else arguments or ():
        parts = list(one.values()) if isinstance(one, Mapping) else list(one)
        if parts:
            yield parts[0], parts[1] if len(parts) > 1 else None


def _messages(asked: Any) -> tuple[dict[str, Any], ...]:
    """Return the context as messages; with a chat template lm-eval logs them as JSON in a list of one text."""
    if isinstance(asked, list) and len(asked) == 1 and isinstance(asked[0], str):
        asked = asked[0]
    if isinstance(asked, str) and asked.startswith('[{"role"'):
        asked = document(asked.encode(), "chat")
    if isinstance(asked, list):
        return tuple(
            {"role": str(one.get("role", "user")), "content": text_of(one.get("content"))}
            for one in asked
            if isinstance(one, Mapping)
        )
    return ({"role": "user", "content": str(asked)},)


def _references(target: Any) -> tuple[str, ...]:
    if isinstance(target, list):
        return tuple(str(one) for one in target)
    return () if target is None else (str(target),)


def _answer(responses: Any, asked: list[tuple[Any, Any]]) -> str:
    """Return the answer: a generated text, or of several continuations the likeliest."""
    first = [one[0] for one in responses or () if isinstance(one, list) and one]
    if not first:
        return ""
    if isinstance(first[0], str):
        return first[0]
    likely = [number_of(one[0]) if isinstance(one, list) and one else None for one in first]
    if len(likely) == len(asked) and len(likely) > 1 and all(one is not None for one in likely):
        best = max(range(len(likely)), key=lambda index: likely[index] or 0.0)
        return str(asked[best][1]).strip()
    return ""
