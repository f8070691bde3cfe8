"""`penstock.chain`: managed prompts one after another, each answer a variable of the prompts that follow.

```
penstock.chain(
    [Step(prompt="extract@production", gives="facts"), Step(prompt="reply")],
    {"mail": "My invoice is wrong."},
    ask=client,
)
```
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from penstock.sdk.client import Client
from penstock.sdk.errors import RenderError, SdkError
from penstock.sdk.prompts import Prompt, Rendered, get_prompt
from penstock.sdk.tracing import span

Ask = Callable[[Rendered], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One prompt of a chain."""

    prompt: str
    """`name`, `name@label` or `name@3`."""
    gives: str = ""
    """The variable by which later steps get the answer; empty: the prompt's name, with `_` for `-` and `.`."""
    variables: Mapping[str, Any] = field(default_factory=dict)
    """Values of this step alone; they win over those of the chain."""
    own: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the call that win over the prompt's settings, such as `{"model": "small"}`."""

    @property
    def name(self) -> str:
        """The variable that holds the answer."""
        return self.gives or self.prompt.partition("@")[0].replace("-", "_").replace(".", "_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A step that was taken."""

    name: str
    rendered: Rendered
    text: str
    """What the model answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chained:
    """What a chain came to."""

    steps: tuple[Taken, ...]
    values: Mapping[str, Any]
    """The variables after the last step: those given, and every answer by its name."""
    trace_id: str
    """The trace with one span for each step; empty when tracing is off."""

    @property
    def text(self) -> str:
        """The last answer."""
        return self.steps[-1].text

    def __str__(self) -> str:
        return self.text


def chain(
    steps: Sequence[Step],
    variables: Mapping[str, Any],
    *,
    ask: Any,
    name: str = "chain",
    client: Client | None = None,
) -> Chained:
    """Take `steps` in order and return every answer.

    Each prompt gets those of the chain's values that it has variables for. The answer of a prompt with an output
    schema is read as JSON. `ask` is a client of OpenAI's (its calls are counted for the prompt's version when it talks
    to a Penstock gateway), or a function from what was rendered to the answer's text. Each step is a span of one trace.
    Raises RenderError for values that are missing or do not fit, and what `ask` raises.
    """
    if not steps:
        raise SdkError("A chain needs at least one step.")
    values = dict(variables)
    taken: list[Taken] = []
    with span(name, kind="chain") as whole:
        whole.set_input(values)
        for step in steps:
            done = _take(step, values, ask, client)
            values[step.name] = done[1]
            taken.append(done[0])
        whole.set_output(taken[-1].text)
    return Chained(steps=tuple(taken), values=values, trace_id=whole.trace_id)


def _take(step: Step, values: Mapping[str, Any], ask: Any, client: Client | None) -> tuple[Taken, Any]:
    with span(step.name, kind="chain") as open_:
        prompt = _prompt(step.prompt, client)
        wanted = prompt.variables
        given = {name: value for name, value in values.items() if name in wanted}
        rendered = prompt.render(**{**given, **step.variables})
        open_.set_prompt(rendered).set_input(rendered.messages)
        text = _answer(ask, rendered, step, open_.traceparent)
        open_.set_output(text)
    value: Any = text
    if rendered.output_schema is not None:
        try:
            value = json.loads(text)
        except ValueError as error:
            raise RenderError(
                f"{prompt.ref} has an output schema, but its answer is not JSON: {error}."
            ) from error
    return Taken(name=step.name, rendered=rendered, text=text), value


def _prompt(reference: str, client: Client | None) -> Prompt:
    name, _, which = reference.partition("@")
    if which.isdecimal():
        return get_prompt(name, version=int(which), client=client)
    return get_prompt(name, label=which, client=client)


def _answer(ask: Any, rendered: Rendered, step: Step, traceparent: str) -> str:
    completions = getattr(getattr(ask, "chat", None), "completions", None)
    if completions is None:
        return str(ask(rendered))
    headers = {"x-penstock-prompt": rendered.ref}
    if traceparent:
        headers["traceparent"] = traceparent
    own = dict(step.own)
    headers |= own.pop("extra_headers", None) or {}
    answer = completions.create(**rendered.request(**own), extra_headers=headers)
    return str(answer.choices[0].message.content or "")
