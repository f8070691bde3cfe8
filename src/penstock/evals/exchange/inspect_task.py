"""The task behind an Inspect log: its questions and targets, to be run here.

An Inspect task is Python, which is not run; every log of it holds the questions it asked.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from penstock.core.errors import Invalid
from penstock.evals.exchange.inspect_archive import is_archive, read_archive
from penstock.evals.exchange.lm_eval_task import LETTER, Task, lettered
from penstock.evals.exchange.recorded import document, text_of

_SCORERS: dict[str, Mapping[str, Any]] = {
    "includes": {"name": "contains", "ignore_case": True},
    "exact": {"name": "exact"},
    "f1": {"name": "f1"},
    "choice": {
        "name": "harness",
        "filters": {"letter": [{"function": "regex", "regex_pattern": LETTER, "group_select": -1}]},
    },
}
"""Inspect's scorer → the one of ours that asks the same."""
_NEAR: dict[str, Mapping[str, Any]] = {"match": {"name": "contains", "ignore_case": True}}


def read(content: bytes) -> Task:
    """Return the questions of a log with scorers of ours; raises Invalid, TooLarge.

    Inputs are those after the dataset and before the solvers, so what solvers add (system messages, chains of thought,
    tools) has to be in the suite. Several epochs of a question are one question.
    """
    log = read_archive(content) if is_archive(content) else document(content, "Inspect log")
    if not isinstance(log, dict) or not isinstance(log.get("eval"), dict) or not log.get("samples"):
        raise Invalid("This is no Inspect log with samples.", hint="Give a .eval or .json log file.")
    rows: dict[str, dict[str, Any]] = {}
    for sample in log["samples"]:
        if not isinstance(sample, dict) or "id" not in sample:
            raise Invalid("The Inspect log has a sample without an id.")
        rows.setdefault(str(sample["id"]), _row(sample))
    spec = log["eval"]
    notes = [f"Solvers are not taken over: {name}." for name in _solvers(log.get("plan") or {})]
    used = [str(one.get("name", "")).rpartition("/")[2] for one in spec.get("scorers") or ()]
    return Task(
        name=str(spec.get("task") or "inspect").rpartition("/")[2],
        rows=tuple(rows.values()),
        scorers=tuple(_scorers(used, log["samples"], notes)),
        notes=tuple(notes),
    )


def _row(sample: Mapping[str, Any]) -> dict[str, Any]:
    asked, target = sample.get("input") or "", sample.get("target") or []
    expected = [target] if isinstance(target, str) else [str(one) for one in target]
    made = {"id": str(sample["id"]), "expected": expected}
    if isinstance(asked, str):
        choices = sample.get("choices")
        return {**made, "prompt": lettered(asked, choices) if choices else asked}
    messages = [{"role": one.get("role", "user"), "content": text_of(one.get("content"))} for one in asked]
    return {**made, "messages": messages}


def _solvers(plan: Mapping[str, Any]) -> Iterator[str]:
    for step in plan.get("steps") or ():
        name = str(step.get("solver", "")).rpartition("/")[2]
        if name and name != "generate":
            yield name


def _scorers(
    used: Sequence[str], samples: Sequence[Mapping[str, Any]], notes: list[str]
) -> Iterator[Mapping[str, Any]]:
    names = used or sorted({name for sample in samples for name in sample.get("scores") or {}})
    found: dict[str, Mapping[str, Any]] = {}
    for name in names:
        if name in _SCORERS:
            found[str(_SCORERS[name]["name"])] = _SCORERS[name]
        elif name in _NEAR:
            found.setdefault(str(_NEAR[name]["name"]), _NEAR[name])
            notes.append(
                f"The scorer {name!r} also looks at where the target stands; here it only has to occur."
            )
        else:
            notes.append(f"The scorer {name!r} has no counterpart and was left out.")
    return iter(found.values() or [{"name": "contains", "ignore_case": True}])
