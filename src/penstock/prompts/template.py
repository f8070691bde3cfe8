"""Rendering: Jinja in its sandbox, with undefined variables refused and a bound on the output."""

from collections.abc import Mapping
from typing import Any

from jinja2 import StrictUndefined, TemplateError, meta, nodes
from jinja2.exceptions import SecurityError, TemplateSyntaxError, UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean
from penstock.prompts.model import Body, Kind, Variable

MAX_CHARACTERS = 2_000_000
MAX_RANGE = 10_000

_environment = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
)
_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list, tuple),
    "object": (dict,),
    "messages": (list, tuple),
}


def _templates(body: Body) -> list[str]:
    if body.kind is Kind.TEXT:
        return [body.text]
    found: list[str] = []
    for message in body.messages:
        content = message.get("content")
        if isinstance(content, str):
            found.append(content)
        elif isinstance(content, list):
            found += [part["text"] for part in content if isinstance(part.get("text"), str)]
    return found


def discover(body: Body) -> tuple[Variable, ...]:
    """Return the variables a body uses: those it declares, then undeclared ones in order of name.

    Raises Invalid for a template that does not parse, with its line, and for a declared type that
    does not exist.
    """
    used: set[str] = {message["placeholder"] for message in body.messages if "placeholder" in message}
    placeholders = set(used)
    for source in _templates(body):
        try:
            tree = _environment.parse(source)
        except TemplateSyntaxError as error:
            raise Invalid(f"The template does not parse: {error.message} (line {error.lineno}).") from error
        if any(tree.find_all((nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends))):
            raise Invalid("Templates may not include or import others.", hint="Pass the text as a variable.")
        used |= meta.find_undeclared_variables(tree)
    for variable in body.variables:
        if variable.type not in _TYPES:
            raise Invalid(
                f"{variable.type!r} is not a variable type.", hint=did_you_mean(variable.type, _TYPES)
            )
    declared = {variable.name for variable in body.variables}
    return body.variables + tuple(
        Variable(name=name, type="messages" if name in placeholders else "string")
        for name in sorted(used - declared)
    )


def _checked(variables: tuple[Variable, ...], given: Mapping[str, Any]) -> dict[str, Any]:
    known = [variable.name for variable in variables]
    for name in given:
        if name not in known:
            raise Invalid(f"The prompt has no variable {name!r}.", hint=did_you_mean(name, known))
    values: dict[str, Any] = {}
    for variable in variables:
        value = given.get(variable.name, variable.default)
        if value is None:
            if variable.required:
                raise Invalid(f"The variable {variable.name!r} needs a value ({variable.type}).")
            continue
        wrong = not isinstance(value, _TYPES[variable.type])
        if wrong or (variable.type == "number" and isinstance(value, bool)):
            raise Invalid(
                f"The variable {variable.name!r} must be a {variable.type}, not {type(value).__name__}."
            )
        values[variable.name] = value
    return values


def _fill(source: str, values: Mapping[str, Any]) -> str:
    try:
        pieces: list[str] = []
        size = 0
        for piece in _environment.from_string(source).generate(**values):
            size += len(piece)
            if size > MAX_CHARACTERS:
                raise Invalid(f"The rendered prompt is longer than {MAX_CHARACTERS:,} characters.")
            pieces.append(piece)
        return "".join(pieces)
    except UndefinedError as error:
        raise Invalid(f"The template uses something that has no value: {error.message}.") from error
    except SecurityError as error:
        raise Invalid(f"The template does something that is not allowed: {error}.") from error
    except (TemplateError, TypeError, ValueError, ArithmeticError, OverflowError, MemoryError) as error:
        raise Invalid(f"The template failed: {error}.") from error


def _message(message: dict[str, Any], values: Mapping[str, Any]) -> list[dict[str, Any]]:
    if "placeholder" in message:
        inserted = values.get(message["placeholder"], [])
        if not all(isinstance(item, dict) and "role" in item for item in inserted):
            raise Invalid(f"{message['placeholder']!r} must be a list of messages with roles.")
        return [dict(item) for item in inserted]
    content = message["content"]
    if isinstance(content, str):
        return [{**message, "content": _fill(content, values)}]
    parts = [
        {**part, "text": _fill(part["text"], values)} if isinstance(part.get("text"), str) else part
        for part in content
    ]
    return [{**message, "content": parts}]


def render(body: Body, given: Mapping[str, Any]) -> tuple[str, tuple[dict[str, Any], ...]]:
    """Return (text, messages) of `body` filled with `given`; one of them is empty, by kind.

    Raises Invalid for missing, unknown or wrongly typed variables, and for templates that fail,
    reach outside the sandbox or grow beyond two million characters.
    """
    values = _checked(discover(body), given)
    if body.kind is Kind.TEXT:
        return _fill(body.text, values), ()
    messages: list[dict[str, Any]] = []
    for message in body.messages:
        messages += _message(message, values)
    return "", tuple(messages)
