"""Logs of Inspect (inspect_ai), read.

Format: the EvalLog document of version 2, inspect_ai 0.3 (log/_log.py).
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from penstock.core.errors import Invalid
from penstock.evals.exchange.inspect_archive import is_archive, read_archive
from penstock.evals.exchange.recorded import (
    RecordedRun,
    RecordedSample,
    counted,
    document,
    number_of,
    text_of,
    unique,
)

_GRADES = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0, "yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}
"""Inspect's letters for correct, incorrect, partial and no answer, and its words (scorer/_metric.py)."""
_NOTES = (
    ("values", "{n} scores are neither numbers nor grades and were left out."),
    ("unscored", "{n} samples carry no score."),
    ("tools", "{n} samples used tools: only their messages' texts were taken over."),
)


def read(content: bytes) -> RecordedRun:
    """Return the run in an Inspect log, JSON or .eval; raises Invalid, TooLarge.

    Grades become numbers (C 1, P 0.5, I and N 0). With several epochs a sample is known as `id#e2`.
    """
    log = read_archive(content) if is_archive(content) else document(content, "Inspect log")
    if not isinstance(log, dict) or not isinstance(log.get("eval"), dict):
        raise Invalid("This is no Inspect log: it has no `eval`.", hint="Give a .eval or .json log file.")
    spec, found = log["eval"], log.get("samples")
    if not isinstance(found, list) or not found:
        raise Invalid("The Inspect log holds no samples.", hint="Log with samples: --log-samples.")
    left: Counter[str] = Counter()
    several = any(sample.get("epoch", 1) > 1 for sample in found if isinstance(sample, dict))
    samples = unique(_sample(sample, several, left) for sample in found)
    dataset = spec.get("dataset") or {}
    return RecordedRun(
        format="inspect",
        suite=str(spec.get("task") or "inspect"),
        model=str(spec.get("model") or ""),
        dataset=str(dataset.get("name") or spec.get("task") or "inspect"),
        samples=samples,
        notes=counted(left, _NOTES),
    )


def _sample(sample: Any, several: bool, left: Counter[str]) -> RecordedSample:
    if not isinstance(sample, dict) or "id" not in sample:
        raise Invalid("The Inspect log has a sample without an id.")
    epoch = sample.get("epoch", 1)
    scores = dict(_scores(sample.get("scores") or {}, left))
    error = (sample.get("error") or {}).get("message")
    left["unscored"] += not scores and error is None
    messages = _messages(sample)
    left["tools"] += any(message.get("role") == "tool" for message in sample.get("messages") or ())
    target = sample.get("target") or []
    usage = list((sample.get("model_usage") or {}).values())
    return RecordedSample(
        id=f"{sample['id']}#e{epoch}" if several else str(sample["id"]),
        messages=messages,
        references=(target,) if isinstance(target, str) else tuple(str(one) for one in target),
        text=_answer(sample.get("output") or {}),
        error=error,
        scores={} if error is not None else scores,
        latency_s=sample.get("total_time"),
        input_tokens=sum(one.get("input_tokens", 0) for one in usage) if usage else None,
        output_tokens=sum(one.get("output_tokens", 0) for one in usage) if usage else None,
    )


def _messages(sample: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """Return what was asked: the sample's input, since `messages` holds what followed as well."""
    asked = sample.get("input") or ""
    if isinstance(asked, str):
        return ({"role": "user", "content": asked},)
    return tuple({"role": one.get("role", "user"), "content": text_of(one.get("content"))} for one in asked)


def _answer(output: Mapping[str, Any]) -> str:
    choices = output.get("choices") or []
    if choices:
        return text_of((choices[0].get("message") or {}).get("content"))
    return str(output.get("completion") or "")


def _scores(scores: Mapping[str, Any], left: Counter[str]) -> Iterator[tuple[str, float]]:
    for name, score in scores.items():
        value = score.get("value") if isinstance(score, Mapping) else score
        parts = value.items() if isinstance(value, Mapping) else [("", value)]
        for key, part in parts:
            number = _grade(part)
            if number is None:
                left["values"] += 1
            else:
                yield (f"{name}.{key}" if key else name), number


def _grade(value: Any) -> float | None:
    if not isinstance(value, str):
        return number_of(value)
    if value in _GRADES or value.lower() in _GRADES:
        return _GRADES.get(value, _GRADES.get(value.lower()))
    try:
        return number_of(float(value))
    except ValueError:
        return None
