"""Tasks of lm-evaluation-harness, read without running any of their code.

Format: task YAML of lm-eval 0.4 (docs/task_guide.md, api/task.py).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jinja2
import yaml
from jinja2.sandbox import ImmutableSandboxedEnvironment

from penstock.core.errors import Invalid
from penstock.evals.patterns import compiled

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LETTER = r"\b([A-Z])\b"
_MATCH_OPTIONS = ("ignore_case", "ignore_punctuation", "ignore_numbers", "regexes_to_ignore")
_CORPUS = {"bleu": "bleu", "chrf": "chrf", "ter": "ter", "f1": "f1", "rouge1": "rouge_1", "rougeL": "rouge_l"}
"""Metric of lm-eval → scorer of ours that measures the same."""
_FILTERS = ("regex", "take_first", "remove_whitespace", "lowercase", "uppercase", "map")
"""What the scorer `harness` knows."""
MAX_INCLUDES = 10


@dataclass(frozen=True, slots=True)
class _Code:
    """A `!function` of a task, which is not run."""

    name: str


class _Loader(yaml.SafeLoader):
    """Reads `!function module.name` as a name."""


def _function(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> _Code:
    return _Code(str(loader.construct_scalar(node)))


_Loader.add_constructor("!function", _function)


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task that can be run here: rows to ingest and the suite's fields besides dataset and target."""

    name: str
    rows: tuple[Mapping[str, Any], ...]
    scorers: tuple[Mapping[str, Any], ...]
    generation: Mapping[str, Any] = field(default_factory=dict)
    """Options for the target: max_tokens, temperature, extra."""
    notes: tuple[str, ...] = ()
    """What differs from lm-eval, in plain words."""


def load(text: str, folder: Path | None = None) -> dict[str, Any]:
    """Return a task's YAML with what it includes from below `folder`; raises Invalid.

    A file outside the folder is not read, and neither is any without one.
    """
    return _load(text, folder, MAX_INCLUDES)


def _load(text: str, folder: Path | None, left: int) -> dict[str, Any]:
    try:
        task = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise Invalid(f"The task is not valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(task, dict):
        raise Invalid("The task's YAML holds no mapping.")
    include = task.pop("include", None)
    if include is None:
        return task
    if folder is None or left == 0:
        raise Invalid(f"The task includes {include!r}, which was not given.", hint="Merge it into the task.")
    path = (folder / str(include)).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise Invalid(f"The task includes {include!r}, which is no file of its folder.")
    return {**_load(path.read_text(encoding="utf-8"), folder, left - 1), **task}


def read(
    task: Mapping[str, Any], rows: Iterable[Mapping[str, Any]], *, examples: Sequence[Mapping[str, Any]] = ()
) -> Task:
    """Return the task with its prompts written out over `rows`, few-shot `examples` in front of each.

    Templates run in a sandbox; Python of the task (`!function`) does not run. Raises Invalid for what needs it,
    for a missing column and for an output type that chat targets cannot give.
    """
    kind = str(task.get("output_type", "generate_until"))
    if kind not in ("generate_until", "multiple_choice"):
        raise Invalid(
            f"The task's output type {kind!r} needs likelihoods of texts, which chat targets do not give.",
            hint="Import the sample log of lm-eval instead.",
        )
    notes: list[str] = []
    for name in ("process_docs", "process_results", "doc_to_text", "doc_to_target", "doc_to_choice"):
        if isinstance(task.get(name), _Code):
            raise Invalid(
                f"The task's {name} is Python ({task[name].name}), and foreign code is not run.",
                hint="Give rows that are prepared already and a task with templates only.",
            )
    shots = _shots(task, kind, examples, notes)
    made = [_row(task, kind, row, number, shots) for number, row in enumerate(rows)]
    if not made:
        raise Invalid("There are no rows for the task.", hint="Give the rows of its test split.")
    if kind == "multiple_choice":
        notes.append(
            "lm-eval scores the likelihood of each choice; here the choices are lettered and the letter in the "
            "answer counts, so figures are not those of lm-eval."
        )
    return Task(
        name=str(task.get("task") or "lm-eval"),
        rows=tuple(made),
        scorers=tuple(_scorers(task, kind, notes)),
        generation=_generation(task, notes),
        notes=tuple(notes),
    )


def _environment() -> jinja2.Environment:
    environment = ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    environment.filters["regex_replace"] = lambda text, pattern, with_="", count=0: compiled(pattern).sub(
        with_, text, count
    )
    return environment


_JINJA = _environment()


def _rendered(task: Mapping[str, Any], name: str, row: Mapping[str, Any], number: int) -> Any:
    """Return a field of the task for a row: a column, a value as it is, or a template."""
    template = task.get(name)
    if isinstance(template, str) and template in row:
        return row[template]
    if not isinstance(template, str):
        return template
    try:
        return _JINJA.from_string(template).render(**row)
    except jinja2.TemplateError as error:
        raise Invalid(f"Row {number + 1}: the task's {name} cannot be rendered: {error}.") from error


def _choices(task: Mapping[str, Any], row: Mapping[str, Any], number: int) -> list[str]:
    found = _rendered(task, "doc_to_choice", row, number)
    if isinstance(found, str):
        try:
            found = yaml.safe_load(found)
        except yaml.YAMLError as error:
            raise Invalid(f"Row {number + 1}: the task's choices are no list: {found!r}.") from error
    if isinstance(found, Mapping):
        found = list(found.values())
    if not isinstance(found, list) or not 2 <= len(found) <= len(_LETTERS):
        raise Invalid(f"Row {number + 1}: a question needs 2 to {len(_LETTERS)} choices, not {found!r}.")
    return [str(choice).strip() for choice in found]


def _lettered(task: Mapping[str, Any], row: Mapping[str, Any], number: int) -> tuple[str, str]:
    choices, target = _choices(task, row, number), _rendered(task, "doc_to_target", row, number)
    if isinstance(target, str):
        target = int(target) if re.fullmatch(r"\s*\d+\s*", target) else _position(target.strip(), choices)
    if not isinstance(target, int) or not 0 <= target < len(choices):
        raise Invalid(f"Row {number + 1}: the right choice {target!r} is none of {len(choices)}.")
    asked = str(_rendered(task, "doc_to_text", row, number)).rstrip()
    return lettered(asked, choices), _LETTERS[target]


def lettered(asked: str, choices: Sequence[str]) -> str:
    """Return a question with its choices lettered, asking for a letter."""
    listed = "\n".join(f"{letter}. {choice}" for letter, choice in zip(_LETTERS, choices, strict=False))
    return f"{asked}\n\n{listed}\n\nAnswer with the letter of the right choice."


def _position(target: str, choices: Sequence[str]) -> int:
    return choices.index(target) if target in choices else -1


def _question(
    task: Mapping[str, Any], kind: str, row: Mapping[str, Any], number: int
) -> tuple[str, list[str]]:
    if kind == "multiple_choice":
        asked, letter = _lettered(task, row, number)
        return asked, [letter]
    target = _rendered(task, "doc_to_target", row, number)
    texts = [str(one) for one in target] if isinstance(target, list) else [str(target)]
    return str(_rendered(task, "doc_to_text", row, number)), texts


def _shots(
    task: Mapping[str, Any], kind: str, examples: Sequence[Mapping[str, Any]], notes: list[str]
) -> str:
    wanted = int(task.get("num_fewshot") or 0)
    given = (task.get("fewshot_config") or {}).get("samples")
    if isinstance(given, _Code):
        notes.append("The few-shot examples are made by Python, which is not run.")
        given = None
    chosen = list(given or examples)[:wanted]
    if len(chosen) < wanted:
        notes.append(f"lm-eval shows {wanted} examples first; {len(chosen)} were given.")
    joint, between = (
        str(task.get(name, default))
        for name, default in (("target_delimiter", " "), ("fewshot_delimiter", "\n\n"))
    )
    shown = []
    for number, row in enumerate(chosen):
        asked, targets = _question(task, kind, row, number)
        shown.append(f"{asked}{joint}{targets[0]}{between}")
    description = task.get("description") or ""
    return (description if isinstance(description, str) else "") + "".join(shown)


def _row(
    task: Mapping[str, Any], kind: str, row: Mapping[str, Any], number: int, shots: str
) -> dict[str, Any]:
    asked, targets = _question(task, kind, row, number)
    name = row.get("id") if row.get("id") not in (None, "") else number
    return {"id": str(name), "prompt": f"{shots}{asked}", "expected": targets}


def _filters(task: Mapping[str, Any], kind: str, notes: list[str]) -> dict[str, list[Mapping[str, Any]]]:
    if kind == "multiple_choice":
        return {"letter": [{"function": "regex", "regex_pattern": LETTER, "group_select": -1}]}
    found = {}
    for one in task.get("filter_list") or ():
        steps = list(one.get("filter") or ())
        unknown = [step.get("function") for step in steps if step.get("function") not in _FILTERS]
        if unknown:
            notes.append(f"The filter {one.get('name')!r} uses {unknown[0]!r}, which is not known here.")
        else:
            found[str(one.get("name", "none"))] = steps
    return found or {"none": []}


def _scorers(task: Mapping[str, Any], kind: str, notes: list[str]) -> Iterable[dict[str, Any]]:
    listed = task.get("metric_list") or [{"metric": "exact_match"}]
    options: dict[str, Any] = {}
    others: dict[str, None] = {}
    exact = kind == "multiple_choice"
    for one in listed:
        name = one.get("metric")
        if name == "exact_match":
            exact = True
            options = {key: one[key] for key in _MATCH_OPTIONS if key in one}
        elif isinstance(name, str) and name in _CORPUS:
            others[_CORPUS[name]] = None
        elif not (kind == "multiple_choice" and name in ("acc", "acc_norm")):
            said = name.name if isinstance(name, _Code) else name
            notes.append(f"The metric {said!r} is not known here and was left out.")
    if exact or not others:
        yield {"name": "harness", "filters": _filters(task, kind, notes), **options}
    for name in others:
        yield {"name": name}


def _generation(task: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    given = dict(task.get("generation_kwargs") or {})
    made: dict[str, Any] = {}
    stop = given.pop("until", None)
    if stop:
        # Most providers take four at most.
        stops = [stop] if isinstance(stop, str) else [str(one) for one in stop]
        made["extra"] = {"stop": stops[:4]}
        if len(stops) > 4:
            notes.append(f"Only the first four of {len(stops)} stop texts are sent.")
    sampling = given.pop("do_sample", None)
    if "temperature" in given or sampling is False:
        made["temperature"] = 0.0 if sampling is False else float(given.pop("temperature"))
        given.pop("temperature", None)
    for name in ("max_gen_toks", "max_new_tokens", "max_tokens", "max_length"):
        if name in given:
            made.setdefault("max_tokens", int(given.pop(name)))
    if given:
        notes.append(f"Not taken over from generation_kwargs: {', '.join(sorted(given))}.")
    return made
