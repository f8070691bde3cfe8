"""Pipelines that people write: steps in YAML, each a kind with its options, which may name what earlier steps gave."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean
from penstock.pipelines import kinds
from penstock.pipelines.kinds import KINDS
from penstock.pipelines.model import Pipeline, StepContext

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
MOST_STEPS = 50
PARAMETERS = "parameters"
_PARAMETER = re.compile(r"\$\{parameters\.([^{}]*)\}")
_REFERENCE = re.compile(r"\$\{([^{}]*)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenStep:
    """One step as it was written."""

    name: str
    kind: str
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A pipeline as it was written."""

    name: str
    steps: tuple[WrittenStep, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Name → what `${parameters.NAME}` stands for unless a run is given another; None: it has to be given."""

    def to_dict(self) -> dict[str, Any]:
        """Return the plain values that `parse` reads."""
        steps = [{"name": step.name, step.kind: dict(step.options)} for step in self.steps]
        found = {"name": self.name, "steps": steps}
        return {**found, "parameters": dict(self.parameters)} if self.parameters else found

    def settled(self, values: Mapping[str, Any]) -> "Document":
        """Return the document with its parameters filled in, and checked once more; raises Invalid."""
        known = list(self.parameters)
        for key in values:
            if key not in known:
                raise Invalid(f"{self.name} has no parameter {key!r}.", hint=did_you_mean(str(key), known))
        filled = {**self.parameters, **values}
        missing = [key for key, value in filled.items() if value is None]
        if missing:
            raise Invalid(f"{self.name} needs {', '.join(missing)}.", hint=f"Give it: {missing[0]}=VALUE.")
        if not filled:
            return self
        steps = [{"name": step.name, step.kind: _given(step.options, filled)} for step in self.steps]
        return parse({"name": self.name, "steps": steps})

    def reads_files(self) -> bool:
        """Whether a step reads a file of this machine."""
        return any("file" in step.options for step in self.steps)

    def pipeline(self) -> Pipeline:
        """Return the steps as they are run."""
        return Pipeline(name=self.name, steps=tuple((step.name, partial(_do, step)) for step in self.steps))


def _do(step: WrittenStep, context: StepContext) -> dict[str, Any]:
    options = {key: _filled(value, context.results) for key, value in step.options.items()}
    return KINDS[step.kind].do(context, step.name, options)


def parse(values: Any) -> Document:
    """Return the pipeline of plain values; raises Invalid that names what is wrong.

    Kinds, their options and recipes are checked, and that `${step.key}` names an earlier step.
    """
    if not isinstance(values, Mapping) or set(values) - {PARAMETERS} != {"name", "steps"}:
        raise Invalid(
            "A pipeline holds a name and steps, and may hold parameters.",
            hint="See docs/pipelines.md for an example.",
        )
    parameters = _parameters(values.get(PARAMETERS))
    name, written = values["name"], values["steps"]
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise Invalid(
            f"{name!r} is not a name.", hint="Use lower-case letters, digits, and . _ -, at most 64."
        )
    if not isinstance(written, list) or not 1 <= len(written) <= MOST_STEPS:
        raise Invalid(f"A pipeline has between 1 and {MOST_STEPS} steps.")
    steps: list[WrittenStep] = []
    for place, one in enumerate(written, 1):
        step = _step(one, place)
        earlier = [before.name for before in steps]
        if step.name in earlier:
            raise Invalid(f"Two steps are called {step.name!r}.", hint="Give one of them a name of its own.")
        _check_references(step, earlier, parameters)
        steps.append(step)
    return Document(name=name, steps=tuple(steps), parameters=parameters)


def _parameters(given: Any) -> dict[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise Invalid("parameters is a table of names.", hint="Write parameters: {seed: 1, base: null}.")
    for name in given:
        if not isinstance(name, str) or not NAME.fullmatch(name) or "." in name:
            raise Invalid(
                f"{name!r} is not a name of a parameter.", hint="Use lower-case letters, digits, and _ -."
            )
    return dict(given)


def _step(given: Any, place: int) -> WrittenStep:
    if not isinstance(given, Mapping):
        raise Invalid(f"Step {place} is not a table.", hint="Write KIND: {OPTION: …}.")
    found = [str(key) for key in given if key != "name"]
    if len(found) != 1 or found[0] not in KINDS:
        raise Invalid(
            f"Step {place} must be of one kind, not {', '.join(found) or 'none'}.",
            hint=did_you_mean(found[0] if found else "", list(KINDS)),
        )
    (kind,) = found
    name = str(given.get("name") or kind)
    if not NAME.fullmatch(name) or name == PARAMETERS:
        raise Invalid(f"{name!r} is not a name of a step.", hint="Use lower-case letters, digits, and . _ -.")
    options = given[kind]
    if not isinstance(options, Mapping):
        raise Invalid(f"The options of step {name!r} are not a table.")
    kinds.check(name, kind, options)
    return WrittenStep(name=name, kind=kind, options=dict(options))


def _check_references(step: WrittenStep, earlier: list[str], parameters: Mapping[str, Any]) -> None:
    def look(text: str) -> None:
        for path in _REFERENCE.findall(text):
            before, _, key = path.partition(".")
            if before == PARAMETERS:
                if key not in parameters:
                    raise Invalid(
                        f"${{{path}}} in step {step.name!r} names no parameter.",
                        hint=did_you_mean(key, list(parameters)),
                    )
            elif path.partition(".")[0] not in earlier or "." not in path:
                known = ", ".join(earlier) or "none"
                raise Invalid(
                    f"${{{path}}} in step {step.name!r} names no earlier step.",
                    hint=f"Write ${{STEP.KEY}}; earlier steps: {known}.",
                )

    _each_text(step.options, look)


def _each_text(value: Any, look: Callable[[str], None]) -> None:
    if isinstance(value, str):
        look(value)
    elif isinstance(value, Mapping):
        for inner in value.values():
            _each_text(inner, look)
    elif isinstance(value, list):
        for inner in value:
            _each_text(inner, look)


def _filled(value: Any, results: Mapping[str, Mapping[str, Any]]) -> Any:
    """Return the value with references replaced: a text that is nothing but one takes its type."""
    if isinstance(value, Mapping):
        return {key: _filled(inner, results) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, results) for inner in value]
    if not isinstance(value, str):
        return value
    whole = _REFERENCE.fullmatch(value)
    if whole:
        return _looked_up(whole[1], results)
    return _REFERENCE.sub(lambda found: str(_looked_up(found[1], results)), value)


def _given(value: Any, parameters: Mapping[str, Any]) -> Any:
    """Return the value with parameters filled in, and what names a step left as it is."""
    if isinstance(value, Mapping):
        return {key: _given(inner, parameters) for key, inner in value.items()}
    if isinstance(value, list):
        return [_given(inner, parameters) for inner in value]
    if not isinstance(value, str):
        return value
    whole = _PARAMETER.fullmatch(value)
    if whole:
        return parameters[whole[1]]
    return _PARAMETER.sub(lambda found: str(parameters[found[1]]), value)


def _looked_up(path: str, results: Mapping[str, Mapping[str, Any]]) -> Any:
    step, *keys = path.split(".")
    found: Any = results[step]
    for key in keys:
        if not isinstance(found, Mapping) or key not in found:
            has = ", ".join(sorted(map(str, found))) if isinstance(found, Mapping) else "nothing more"
            raise Invalid(f"${{{path}}} is not there: no {key!r}.", hint=f"It has {has}.")
        found = found[key]
    return found
