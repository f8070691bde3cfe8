"""Rendering: Jinja in its sandbox, with undefined variables refused, other prompts included, and bounds on it all."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jinja2 import DictLoader, Template, TemplateError, meta, nodes
from jinja2.exceptions import SecurityError, TemplateSyntaxError, UndefinedError

from penstock.core.errors import Invalid
from penstock.core.suggest import did_you_mean
from penstock.prompts.checking import check_value, is_messages
from penstock.prompts.model import Body, Kind, Reference, Variable
from penstock.prompts.sandbox import BoundedEnvironment, bounded, sources_of

_environment = BoundedEnvironment()
_MARKS = ("{{", "{%", "{#", "\r")
"""What makes a text a template; Jinja also changes the ends of lines."""
NO_INCLUDES: Mapping[str, Body] = {}


def _templates(body: Body) -> Iterator[str]:
    if body.kind is Kind.TEXT:
        yield body.text
    for message in body.messages:
        yield from sources_of(message.get("content"))


def _parsed(source: str) -> nodes.Template:
    try:
        return _environment.parse(source)
    except TemplateSyntaxError as error:
        raise Invalid(f"The template does not parse: {error.message} (line {error.lineno}).") from error
    except RecursionError as error:
        raise Invalid("The template is nested too deeply.") from error


def _unknown(tree: nodes.Template) -> set[str]:
    try:
        return meta.find_undeclared_variables(tree)
    except TemplateSyntaxError as error:
        raise Invalid(f"The template does not parse: {error.message} (line {error.lineno}).") from error
    except RecursionError as error:
        raise Invalid("The template is nested too deeply.") from error


def _included_by(tree: nodes.Template) -> Iterator[str]:
    if any(tree.find_all((nodes.Import, nodes.FromImport, nodes.Extends))):
        raise Invalid(
            "Templates may not import or extend others.", hint='Include one: {% include "name@label" %}.'
        )
    for node in tree.find_all(nodes.Include):
        name = node.template.value if isinstance(node.template, nodes.Const) else None
        if not isinstance(name, str):
            raise Invalid(
                'An include must name one prompt outright: {% include "name@label" %}.',
                hint="Which prompts belong together is looked up before anything is rendered.",
            )
        Reference.read(name)
        yield name


def includes(body: Body) -> tuple[str, ...]:
    """Return the references to other prompts, as they are written, in order; raises Invalid for a bad one."""
    found: list[str] = []
    for message in body.messages:
        if "include" in message:
            Reference.read(message["include"])
            found.append(message["include"])
    for source in _templates(body):
        if any(mark in source for mark in _MARKS):
            found += _included_by(_parsed(source))
    return tuple(dict.fromkeys(found))


def discover(body: Body) -> tuple[Variable, ...]:
    """Return the variables a body uses: those it declares, then undeclared ones in order of name.

    Raises Invalid for a template that does not parse, with its line.
    """
    placeholders = {message["placeholder"] for message in body.messages if "placeholder" in message}
    used: set[str] = set(placeholders)
    for source in _templates(body):
        if any(mark in source for mark in _MARKS):
            tree = _parsed(source)
            tuple(_included_by(tree))
            used |= _unknown(tree)
    declared = {variable.name for variable in body.variables}
    return body.variables + tuple(
        Variable(name=name, type="messages" if name in placeholders else "string")
        for name in sorted(used - declared)
    )


class Program:
    """A body and what it includes, compiled; render it as often as you like, from any thread."""

    def __init__(self, body: Body, included: Mapping[str, Body] = NO_INCLUDES) -> None:
        """`included` has the body of every reference that `body`, or one of them, makes.

        Raises Invalid for what does not compile, and for an include of the wrong kind.
        """
        self.body = body
        texts = {name: each.text for name, each in included.items() if each.kind is Kind.TEXT}
        self._environment = _environment.overlay(loader=DictLoader(texts)) if texts else _environment
        known: dict[str, Variable] = {}
        for each in (body, *included.values()):
            _check_kinds(each, included)
            for variable in discover(each):
                known.setdefault(variable.name, variable)
        self.variables = tuple(known.values())
        """Everything that rendering needs, or takes."""
        self._text = self._compiled(body.text) if body.kind is Kind.TEXT else None
        self._messages = list(_spread(body, included))
        self._parts = {
            source: self._compiled(source)
            for message in self._messages
            for source in sources_of(message.get("content"))
            if any(mark in source for mark in _MARKS)
        }

    def _compiled(self, source: str) -> Template:
        try:
            return self._environment.from_string(source)
        except TemplateSyntaxError as error:
            raise Invalid(f"The template does not parse: {error.message} (line {error.lineno}).") from error
        except (RecursionError, SyntaxError, MemoryError) as error:
            raise Invalid("The template is nested too deeply.") from error
        except (TemplateError, ArithmeticError) as error:
            raise Invalid(f"The template failed: {error}.") from error

    def render(self, given: Mapping[str, Any]) -> tuple[str, tuple[dict[str, Any], ...]]:
        """Return (text, messages) filled with `given`; one of them is empty, by kind.

        Raises Invalid for missing, unknown or wrongly typed variables, and for templates that fail, reach outside the
        sandbox, work too long or grow beyond two million characters.
        """
        values = _checked(self.variables, given)
        with bounded() as budget:
            if self._text is not None:
                return _fill(self._text, values), ()
            messages: list[dict[str, Any]] = []
            for message in self._messages:
                messages += self._message(message, values)
                try:
                    budget.step()
                except SecurityError as error:
                    raise Invalid(f"The prompt is too large: {error}.") from error
        if not messages:
            raise Invalid("The prompt has no messages: its placeholders were filled with empty lists.")
        return "", tuple(messages)

    def _message(self, message: dict[str, Any], values: Mapping[str, Any]) -> list[dict[str, Any]]:
        if "placeholder" in message:
            inserted = values.get(message["placeholder"], [])
            if not is_messages(inserted):
                raise Invalid(f"{message['placeholder']!r} must be a list of messages with roles.")
            return [dict(item) for item in inserted]
        if "content" not in message:
            return [message]
        return [{**message, "content": self._filled(message["content"], values)}]

    def _filled(self, content: Any, values: Mapping[str, Any]) -> Any:
        if isinstance(content, str):
            found = self._parts.get(content)
            return content if found is None else _fill(found, values)
        if isinstance(content, Mapping):
            return {
                key: each if key == "type" else self._filled(each, values) for key, each in content.items()
            }
        if isinstance(content, list | tuple):
            return [self._filled(each, values) for each in content]
        return content


def _check_kinds(body: Body, included: Mapping[str, Body]) -> None:
    """Raise Invalid when a text includes a chat prompt: it has no text."""
    for source in _templates(body):
        for name in _included_by(_parsed(source)) if any(mark in source for mark in _MARKS) else ():
            if included[name].kind is not Kind.TEXT:
                raise Invalid(
                    f"{name!r} is a chat prompt, which a text cannot include.",
                    hint=f'Include its messages: {{"include": "{name}"}} in place of a message.',
                )


def _spread(body: Body, included: Mapping[str, Body]) -> Iterator[dict[str, Any]]:
    """Yield the messages, those of included chat prompts in place of the include."""
    for message in body.messages:
        if "include" not in message:
            yield message
            continue
        other = included[message["include"]]
        if other.kind is not Kind.CHAT:
            raise Invalid(
                f"{message['include']!r} is a text prompt and has no messages to include.",
                hint=f'Include it inside a text: {{% include "{message["include"]}" %}}.',
            )
        yield from _spread(other, included)


def _checked(variables: Iterable[Variable], given: Mapping[str, Any]) -> dict[str, Any]:
    known = {variable.name: variable for variable in variables}
    for name in given:
        if name not in known:
            raise Invalid(f"The prompt has no variable {name!r}.", hint=did_you_mean(name, known))
    values: dict[str, Any] = {}
    for variable in known.values():
        value = given.get(variable.name, variable.default)
        if value is None:
            if variable.required:
                raise Invalid(f"The variable {variable.name!r} needs a value ({variable.type}).")
            continue
        check_value(variable.name, variable.type, value)
        values[variable.name] = value
    return values


def _fill(template: Template, values: Mapping[str, Any]) -> str:
    try:
        return template.render(values)
    except UndefinedError as error:
        raise Invalid(f"The template uses something that has no value: {error.message}.") from error
    except SecurityError as error:
        raise Invalid(f"The template does something that is not allowed: {error}.") from error
    except RecursionError as error:
        raise Invalid("The template calls itself without end.") from error
    except (TemplateError, TypeError, ValueError, ArithmeticError, MemoryError, LookupError) as error:
        raise Invalid(f"The template failed: {error}.") from error


def render(
    body: Body, given: Mapping[str, Any], included: Mapping[str, Body] = NO_INCLUDES
) -> tuple[str, tuple[dict[str, Any], ...]]:
    """Return (text, messages) of `body` filled with `given`, as `Program.render` does."""
    return Program(body, included).render(given)
