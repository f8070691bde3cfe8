"""`@penstock.trace` and `penstock.span`: functions, coroutines and generators as spans."""

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from typing import Any, TypeVar, cast, overload

from penstock.sdk import runtime
from penstock.sdk.spans import Kind, Span, start

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

    It belongs to the span that is open around it; `session`, `user`, `tags` and `metadata` can be filtered by.
    """
    details = {"session": session, "user": user, "tags": list(tags), "metadata": dict(metadata or {})}
    return start(runtime.exporter(), name, kind=kind, details=details)


@overload
def trace(function: F, /) -> F: ...


@overload
def trace(
    *, name: str = "", kind: Kind = "chain", capture_input: bool = True, capture_output: bool = True
) -> Callable[[F], F]: ...


def trace(
    function: F | None = None,
    /,
    *,
    name: str = "",
    kind: Kind = "chain",
    capture_input: bool = True,
    capture_output: bool = True,
) -> F | Callable[[F], F]:
    """Record every call of a function as a span: arguments, result, exception, duration, parent.

    Works on plain functions, coroutines, generators and async generators (whose span lasts until they end).
    `name` defaults to the function's; `capture_input=False` and `capture_output=False` keep contents out.
    """

    def decorate(target: F) -> F:
        recipe = _Recipe(target, name or target.__qualname__, kind, capture_input, capture_output)
        if inspect.isasyncgenfunction(target):
            wrapper: Callable[..., Any] = _async_generator(target, recipe)
        elif inspect.isgeneratorfunction(target):
            wrapper = _generator(target, recipe)
        elif inspect.iscoroutinefunction(target):
            wrapper = _coroutine(target, recipe)
        else:
            wrapper = _plain(target, recipe)
        return cast(F, functools.wraps(target)(wrapper))

    return decorate if function is None else decorate(function)


class _Recipe:
    """How the spans of one decorated function are made."""

    def __init__(
        self, function: Callable[..., Any], name: str, kind: Kind, capture_input: bool, capture_output: bool
    ) -> None:
        self.name, self.kind = name, kind
        self.capture_input, self.capture_output = capture_input, capture_output
        self.signature = inspect.signature(function)

    def open(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Span:
        span_ = start(runtime.exporter(), self.name, kind=self.kind)
        if self.capture_input:
            span_.set_input(self._arguments(args, kwargs))
        return span_

    def output(self, span_: Span, value: Any) -> None:
        if self.capture_output and "output.value" not in span_.attributes:
            span_.set_output(value)

    def _arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        try:
            bound = dict(self.signature.bind(*args, **kwargs).arguments)
        except TypeError:  # the call itself is about to raise the same, with the better message
            return {"args": list(args), **kwargs}
        bound.pop("self", None)
        bound.pop("cls", None)
        return bound


def _plain(function: Callable[..., Any], recipe: _Recipe) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        with recipe.open(args, kwargs) as span_:
            result = function(*args, **kwargs)
            recipe.output(span_, result)
            return result

    return call


def _coroutine(function: Callable[..., Any], recipe: _Recipe) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        with recipe.open(args, kwargs) as span_:
            result = await function(*args, **kwargs)
            recipe.output(span_, result)
            return result

    return call


def _generator(function: Callable[..., Any], recipe: _Recipe) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        inner: Generator[Any, Any, Any] = function(*args, **kwargs)
        span_, kept = recipe.open(args, kwargs), _Kept()
        resume: Callable[[], Any] = functools.partial(next, inner)
        try:
            while True:
                try:
                    with (
                        span_.active()
                    ):  # only while it runs: its caller's spans between two items are not its children
                        item = resume()
                except StopIteration as stop:
                    return stop.value
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
            recipe.output(span_, kept.value())
            span_.end()

    return call


def _async_generator(function: Callable[..., Any], recipe: _Recipe) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        inner: AsyncGenerator[Any, Any] = function(*args, **kwargs)
        span_, kept = recipe.open(args, kwargs), _Kept()
        resume: Callable[[], Any] = functools.partial(inner.asend, None)
        try:
            while True:
                try:
                    with span_.active():
                        item = await resume()
                except StopAsyncIteration:
                    return
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
            recipe.output(span_, kept.value())
            span_.end()

    return call


class _Kept:
    """The items a generator gave, as its output: joined when all are text."""

    def __init__(self) -> None:
        self._items: list[Any] = []
        self._more = 0

    def add(self, item: Any) -> None:
        if len(self._items) < KEPT_ITEMS:
            self._items.append(item)
        else:
            self._more += 1

    def value(self) -> Any:
        items = self._items
        if self._more:
            items = [*items, f"… {self._more} more"]
        return "".join(items) if items and all(isinstance(item, str) for item in items) else items
