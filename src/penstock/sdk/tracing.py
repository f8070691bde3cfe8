"""`@penstock.trace` and `penstock.span`: functions, methods, coroutines and generators as spans."""

import functools
import inspect
import types
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from typing import Any, TypeVar, overload

from penstock.sdk import runtime
from penstock.sdk.capture import Budget, snapshot
from penstock.sdk.current import activate, deactivate
from penstock.sdk.quiet import fault
from penstock.sdk.spans import Kind, Span, describe, start

F = TypeVar("F", bound=Callable[..., Any])

KEPT_ITEMS = 10_000
"""Items of a generator kept as its output."""


def span(
    name: str,
    *,
    kind: Kind = "chain",
    session: str = "",
    user: str = "",
    tags: tuple[str, ...] = (),
    metadata: Mapping[str, Any] | None = None,
) -> Span:
    """Return a running span to be used as `with penstock.span("step") as s:` (or `async with`).

    It belongs to the span that is open around it; `session`, `user`, `tags` and `metadata` can be filtered by, and
    the first two go down to the spans inside. Never raises.
    """
    span_ = start(runtime.exporter(), name, kind=kind, rate=runtime.settings().sample_rate)
    try:
        if session or user or tags or metadata:
            describe(span_, session, user, tags, metadata)
    except Exception as error:  # noqa: BLE001 - tracing never raises into the traced program
        fault("span", error)
    return span_


@overload
def trace(function: F, /) -> F: ...


@overload
def trace(
    function: str = "",
    /,
    *,
    name: str = "",
    kind: Kind = "chain",
    capture_input: bool = True,
    capture_output: bool = True,
) -> Callable[[F], F]: ...


def trace(
    function: F | str = "",
    /,
    *,
    name: str = "",
    kind: Kind = "chain",
    capture_input: bool = True,
    capture_output: bool = True,
) -> F | Callable[[F], F]:
    """Record every call of a function as a span: arguments, result, exception, duration, parent.

    Works on plain functions, methods (also above or below `@classmethod` and `@staticmethod`), coroutines, generators
    and async generators (whose span lasts until they end; so do functions that return one). `name` defaults to the
    function's; of a class, the public methods are traced. `capture_input=False`, `capture_output=False` keep contents
    out.
    """

    def decorate(target: Any) -> Any:
        if isinstance(target, classmethod | staticmethod):
            return type(target)(decorate(target.__func__))
        if inspect.isclass(target):
            return _with_methods(target, decorate)
        given = name or (function if isinstance(function, str) else "")
        title = given or _title(target)
        recipe = _Recipe(target, title, kind, capture_input, capture_output)
        called: Any = target if inspect.isroutine(target) else type(target).__call__
        if isinstance(target, functools.partial):
            called = target.func
        if inspect.isasyncgenfunction(called):
            wrapper: Callable[..., Any] = _async_generator(target, recipe)
        elif inspect.isgeneratorfunction(called):
            wrapper = _generator(target, recipe)
        elif inspect.iscoroutinefunction(called):
            wrapper = _coroutine(target, recipe)
        else:
            wrapper = _plain(target, recipe)
        return functools.update_wrapper(wrapper, target, updated=())

    return decorate if isinstance(function, str) else decorate(function)


def _with_methods(target: type, decorate: Callable[[Any], Any]) -> type:
    """Trace the public methods that a class defines itself; the class stays a class."""
    for name, member in list(vars(target).items()):
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, _BOUND)):
            setattr(target, name, decorate(member))
    return target


_BOUND = (classmethod, staticmethod)


def _title(target: Any) -> str:
    named = target.func if isinstance(target, functools.partial) else target
    return getattr(named, "__qualname__", "") or type(named).__name__


class _Recipe:
    """How the spans of one decorated function are made. No method raises."""

    def __init__(
        self, function: Callable[..., Any], name: str, kind: Kind, capture_input: bool, capture_output: bool
    ) -> None:
        self.name, self.kind = name, kind
        self.capture_input, self.capture_output = capture_input, capture_output
        self._names, self._rest, self._skip = _parameters(function)

    def open(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span:
        settings = runtime.settings()
        span_ = start(runtime.exporter(), self.name, kind=self.kind, rate=settings.sample_rate)
        if self.capture_input and settings.capture and span_.sampled:
            try:
                span_.document("input", self._arguments(args, kwargs))
            except Exception as error:  # noqa: BLE001 - tracing never raises into the traced program
                fault("input", error)
        return span_

    def output(self, span_: Span, value: Any) -> None:
        try:
            wanted = self.capture_output and span_.sampled and "output.value" not in span_.attributes
            if wanted and runtime.settings().capture:
                span_.document("output", value)
        except Exception as error:  # noqa: BLE001 - tracing never raises into the traced program
            fault("output", error)

    def _arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        names = self._names
        given = dict(zip(names, args, strict=False))
        if len(args) > len(names):  # also of a call that is about to raise for its wrong arguments
            given[self._rest] = args[len(names) :]
        given.update(kwargs)
        if self._skip:
            given.pop(names[0], None)
        return given


def _parameters(function: Callable[..., Any]) -> tuple[tuple[str, ...], str, bool]:
    """Return the names of positional parameters, that of `*args`, and whether the first is self or cls."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # built-in functions may have none
        return (), "args", False
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    names = tuple(parameter.name for parameter in parameters if parameter.kind in positional)
    rest = next((p.name for p in parameters if p.kind is inspect.Parameter.VAR_POSITIONAL), "args")
    return names, rest, names[:1] in (("self",), ("cls",))


def _plain(function: Callable[..., Any], recipe: _Recipe) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        span_ = recipe.open(args, kwargs)
        token = activate(span_)
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            span_.fail(error)
            span_.end()
            raise
        finally:
            deactivate(token)
        if type(result) in _LASTING:
            return _lasting(result, span_, recipe)
        recipe.output(span_, result)
        span_.end()
        return result

    return call


def _lasting(result: Any, span_: Span, recipe: _Recipe) -> Any:
    """Return what goes on after the function returned it, so that the span goes on with it."""
    if isinstance(result, types.GeneratorType):
        return _drive(result, span_, recipe)
    if isinstance(result, types.AsyncGeneratorType):
        return _async_generator(lambda: result, recipe, span_)()
    return _await(result, span_, recipe)


_LASTING = frozenset({types.GeneratorType, types.AsyncGeneratorType, types.CoroutineType})


def _coroutine(function: Callable[..., Any], recipe: _Recipe) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        return await _await(function(*args, **kwargs), recipe.open(args, kwargs), recipe)

    return call


async def _await(work: Any, span_: Span, recipe: _Recipe) -> Any:
    with span_:
        result = await work
        recipe.output(span_, result)
        return result


def _generator(function: Callable[..., Any], recipe: _Recipe) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        inner: Generator[Any, Any, Any] = function(*args, **kwargs)
        return (yield from _drive(inner, recipe.open(args, kwargs), recipe))

    return call


def _drive(inner: Generator[Any, Any, Any], span_: Span, recipe: _Recipe) -> Generator[Any, Any, Any]:
    """Run a generator with the span open only while it runs: its caller's spans between two items are no children."""
    kept = _Kept()
    resume: Callable[[], Any] = functools.partial(next, inner)
    try:
        while True:
            token = activate(span_)
            try:
                item = resume()
            except StopIteration as stop:
                return stop.value
            finally:
                deactivate(token)
            kept.add(item)
            try:
                resume = functools.partial(inner.send, (yield item))
            except GeneratorExit:
                inner.close()
                raise
            except BaseException as error:  # noqa: BLE001 - thrown into the inner generator, whatever it is
                resume = functools.partial(inner.throw, error)
    except GeneratorExit:
        raise
    except BaseException as error:
        span_.fail(error)
        raise
    finally:
        kept.end(span_, recipe)


def _async_generator(
    function: Callable[..., Any], recipe: _Recipe, opened: Span | None = None
) -> Callable[..., Any]:
    """Wrap an async generator likewise; `opened` is the span of one that runs already."""

    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        inner: AsyncGenerator[Any, Any] = function(*args, **kwargs)
        span_, kept = opened or recipe.open(args, kwargs), _Kept()
        resume: Callable[[], Any] = functools.partial(inner.asend, None)
        try:
            while True:
                token = activate(span_)
                try:
                    item = await resume()
                except StopAsyncIteration:
                    return
                finally:
                    deactivate(token)
                kept.add(item)
                try:
                    resume = functools.partial(inner.asend, (yield item))
                except GeneratorExit:
                    await inner.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001 - thrown into the inner generator, whatever it is
                    resume = functools.partial(inner.athrow, error)
        except GeneratorExit:
            raise
        except BaseException as error:
            span_.fail(error)
            raise
        finally:
            kept.end(span_, recipe)

    return call


class _Kept:
    """The items a generator gave, as its output, within the budget of one value: joined when all are text."""

    def __init__(self) -> None:
        self._items: list[Any] = []
        self._budget = Budget()
        self._more = 0

    def add(self, item: Any) -> None:
        if len(self._items) < KEPT_ITEMS and self._budget.chars > 0 and self._budget.parts > 0:
            self._items.append(snapshot(item, self._budget)[0])
        else:
            self._more += 1

    def end(self, span_: Span, recipe: _Recipe) -> None:
        items = self._items
        if self._more:
            items = [*items, f"… {self._more} more"]
        text = bool(items) and all(isinstance(item, str) for item in items)
        recipe.output(span_, "".join(items) if text else items)
        span_.end()
