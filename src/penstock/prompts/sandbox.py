"""Jinja's sandbox with bounds: whatever a template does, it ends soon and stays small.

Jinja's own sandbox keeps templates from Python's internals, not from loops without end, strings of gigabytes or
recursion that doubles at every step. Here every turn of a loop, call and output is counted.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

from jinja2 import StrictUndefined, nodes, pass_context
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.visitor import NodeTransformer

from penstock.core import clock

MAX_CHARACTERS = 2_000_000
"""Of one rendered prompt, and of any text on the way to it."""
MAX_STEPS = 100_000
"""Turns of loops and calls of one rendering."""
MAX_SECONDS = 2.0
"""Of one rendering: far more than the steps of any sane template take."""
MAX_POWER = 4096
"""Bits of a number."""
GROWING = frozenset(
    {
        "batch", "center", "expandtabs", "format", "indent", "join", "ljust", "replace", "rjust", "slice", "tojson",
        "urlize", "wordwrap", "xmlattr", "zfill",
    }
)  # fmt: skip
"""Filters and methods of text whose result can be much longer than what they are given."""
REFUSED = frozenset({"translate", "format_map"})
_CLOCK_EVERY = 256
_WIDTH = re.compile(r"\d{6,}|\*")


class Budget:
    """What one rendering may still use."""

    __slots__ = ("_characters", "_ends", "_steps")

    def __init__(self) -> None:
        self._characters = MAX_CHARACTERS
        self._steps = MAX_STEPS
        self._ends = clock.monotonic() + MAX_SECONDS

    def step(self) -> None:
        """Count one step; raises SecurityError after the last one."""
        self._steps -= 1
        if self._steps < 0:
            raise SecurityError(f"more than {MAX_STEPS:,} steps")
        if self._steps % _CLOCK_EVERY == 0 and clock.monotonic() > self._ends:
            raise SecurityError(f"more than {MAX_SECONDS:g} seconds")

    def write(self, characters: int) -> None:
        """Count output; raises SecurityError for too much of it."""
        self._characters -= characters
        if self._characters < 0:
            raise SecurityError(f"longer than {MAX_CHARACTERS:,} characters")


_current: ContextVar[Budget | None] = ContextVar("penstock_prompt_budget", default=None)


def _budget() -> Budget:
    # Jinja evaluates constants while it compiles, outside any rendering.
    return _current.get() or Budget()


@contextmanager
def bounded() -> Iterator[Budget]:
    """Share one budget among everything that is rendered inside."""
    budget = Budget()
    token = _current.set(budget)
    try:
        yield budget
    finally:
        _current.reset(token)


def _size(value: Any) -> int:
    return len(value) if isinstance(value, str | list | tuple | dict) else 1


def _fits(characters: int) -> None:
    if characters > MAX_CHARACTERS:
        raise SecurityError(f"longer than {MAX_CHARACTERS:,} characters")


def _check_growth(name: str, value: Any, args: Iterable[Any]) -> None:
    """Raise SecurityError when `value` could become too long by the filter or method `name`."""
    given = list(args)
    if name == "format" and isinstance(value, str) and _WIDTH.search(value):
        raise SecurityError("a width of more than five digits")
    if name == "replace" and isinstance(value, str) and len(given) > 1:
        old, new = str(given[0]), str(given[1])
        _fits(len(value) + value.count(old) * len(new))
        return
    factor = max([abs(each) if isinstance(each, int) else _size(each) for each in given], default=1)
    if factor > 1 and _size(value) * factor > 10 * MAX_CHARACTERS:
        raise SecurityError(f"{name} would make a very long text")


def _wrapped(name: str, filter_: Callable[..., Any]) -> Callable[..., Any]:
    """Return a filter that counts; `wraps` keeps the marks by which Jinja passes it its context."""
    first = 1 if hasattr(filter_, "jinja_pass_arg") else 0

    @wraps(filter_)
    def counted(*args: Any, **named: Any) -> Any:
        _budget().step()
        if name in GROWING:
            _check_growth(name, args[first], [*args[first + 1 :], *named.values()])
        result = filter_(*args, **named)
        if isinstance(result, str):
            _fits(len(result))
        return result

    return counted


@pass_context
def _counted(_: Context, items: Iterable[Any], written: int) -> Iterator[Any]:
    budget = _budget()
    for item in items:
        budget.step()
        budget.write(written)
        yield item


@pass_context
def _joined(_: Context, pieces: list[Any]) -> str:
    texts = [str(piece) for piece in pieces]
    _fits(sum(map(len, texts)))
    return "".join(texts)


def _finalize(value: Any) -> Any:
    text = str(value)
    _budget().write(len(text))
    return text


class _Counting(NodeTransformer):
    """Makes the turns of loops count, and bounds the result of `~`."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        """Count the turns, and what the body writes in each."""
        written = sum(len(data.data) for part in node.body for data in part.find_all(nodes.TemplateData))
        count = nodes.Const(written, lineno=node.lineno)
        node.iter = nodes.Filter(node.iter, "_counted", [count], [], None, None, lineno=node.lineno)
        return self.generic_visit(node)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        """Join by a filter that looks at the length first."""
        pieces = nodes.List(node.nodes, lineno=node.lineno)
        joined = nodes.Filter(pieces, "_joined", [], [], None, None, lineno=node.lineno)
        return self.generic_visit(joined)


class _Compiler(CodeGenerator):
    def visit_Template(self, node: nodes.Template, frame: Frame | None = None) -> None:
        """Compile the counted form."""
        _Counting().visit(node)
        node.set_environment(self.environment)
        super().visit_Template(node, frame)


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """The environment that prompts are rendered in."""

    intercepted_binops = frozenset({"*", "**", "%", "+"})
    code_generator_class = _Compiler

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False, finalize=_finalize
        )
        self.filters = {name: _wrapped(name, each) for name, each in self.filters.items()}
        self.filters |= {"_counted": _counted, "_joined": _joined}
        del self.globals["lipsum"], self.filters["random"]  # no two renderings would be equal

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Calculate, when the result is not too large."""
        if operator == "*":
            for many, times in ((left, right), (right, left)):
                if isinstance(many, str | list | tuple) and isinstance(times, int):
                    _fits(_size(many) * max(times, 1))
        elif operator == "+" and isinstance(left, str | list | tuple):
            _fits(_size(left) + _size(right))
        elif operator == "%" and isinstance(left, str):
            _check_growth("format", left, ())
        if all(isinstance(each, int) for each in (left, right)):
            bits = left.bit_length() * (max(right, 1) if operator == "**" else 1) + right.bit_length()
            if operator in "**" and bits > MAX_POWER:
                raise SecurityError("a number that large")
        return super().call_binop(context, operator, left, right)

    def call(self, context: Context, obj: Any, /, *args: Any, **named: Any) -> Any:
        """Call `obj` as the sandbox does, counted."""
        budget = _budget()
        budget.step()
        method = getattr(obj, "__wrapped__", obj)  # the sandbox wraps `format`
        owner, name = getattr(method, "__self__", None), getattr(method, "__name__", "")
        if isinstance(owner, str):
            if name in REFUSED:
                raise SecurityError(f"the method {name} of texts")
            if name in GROWING:
                _check_growth(name, owner, [*args, *named.values()])
        result = super().call(context, obj, *args, **named)
        if isinstance(result, str):
            _fits(len(result))
        return result


def sources_of(value: Any) -> Iterator[str]:
    """Yield every text inside a part of a message that is a template: all but those that say its type."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            if key != "type":
                yield from sources_of(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from sources_of(each)
